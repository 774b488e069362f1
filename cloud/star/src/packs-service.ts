import type { handleUnaryCall } from '@grpc/grpc-js';
import { packs as wire } from '@stardipper/proto';
import { PackRefused } from './installed-packs';
import type { PackPool } from './pack-pool';

/** star.v1.PacksService, for the services of this installation only. */
export function packsGrpcService(pool: PackPool): readonly [typeof wire.PacksServiceService, wire.PacksServiceServer] {
  const openPack: handleUnaryCall<wire.OpenPackRequest, wire.OpenPackResponse> = (call, callback) => {
    const { tenantId, packageId, sha256 } = call.request;
    pool.open({ tenantId, packageId, sha256 }).then(
      (opened) => callback(null, { opened }),
      (error: unknown) => {
        const refused = error instanceof PackRefused ? error : new PackRefused('packs.start_failed', {}, true, error);
        const { code, params, temporary } = refused;
        callback(null, { refusal: { code, paramsJson: JSON.stringify(params), temporary } });
      },
    );
  };
  return [wire.PacksServiceService, { openPack }];
}

import type { handleUnaryCall } from '@grpc/grpc-js';
import { AppError } from '@star/platform';
import { packs as wire } from '@stardipper/proto';
import type { PackPool } from './pack-pool';
import { packsErrors } from './packs.errors';

/** star.v1.PacksService, for the services of this installation only. */
export function packsGrpcService(pool: PackPool): readonly [typeof wire.PacksServiceService, wire.PacksServiceServer] {
  const openPack: handleUnaryCall<wire.OpenPackRequest, wire.OpenPackResponse> = (call, callback) => {
    const { tenantId, packageId, sha256 } = call.request;
    pool.open({ tenantId, packageId, sha256 }).then(
      (opened) => callback(null, { opened }),
      (error: unknown) => {
        const { code, params, retry } = error instanceof AppError ? error : packsErrors.error('packs.start_failed', {}, error);
        callback(null, { refusal: { code, paramsJson: JSON.stringify(params), temporary: retry } });
      },
    );
  };
  return [wire.PacksServiceService, { openPack }];
}

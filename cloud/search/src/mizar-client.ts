import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { mizar } from '@stardipper/proto';
import type { FaceEmbedder, Pack } from './ports';
import { searchError, searchErrors } from './search.errors';

const embedTimeoutMs = 30_000;
const packTimeoutMs = 5_000;
/** A pack changes with a deployment, so a minute is soon enough to notice. */
const packFreshMs = 60_000;
const maxMessageBytes = 32 * 1024 * 1024;

export interface MizarEmbedder extends FaceEmbedder {
  close(): void;
}

/** @param address `unix:/path` or `host:port` of the Mizar beside Star */
export function connectMizar(address: string): MizarEmbedder {
  const client = new mizar.MizarServiceClient(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_receive_message_length': maxMessageBytes,
    // A Mizar that was restarted must be found again within a second, not after the default two minutes.
    'grpc.max_reconnect_backoff_ms': 1_000,
  });
  let known: { pack: Pack; at: number } | undefined;
  const pack = async (): Promise<Pack> => {
    if (known && performance.now() - known.at < packFreshMs) return known.pack;
    try {
      const answer = await call<mizar.GetPackResponse>(packTimeoutMs, (options, done) => client.getPack({}, new Metadata(), options, done));
      known = { pack: { packId: answer.packId, defaultThreshold: answer.defaultThreshold }, at: performance.now() };
    } catch (error) {
      // A search needs only the name of the pack; one that was right a minute ago is better than no search.
      if (!known) throw error;
    }
    return known.pack;
  };
  return {
    pack,
    async embedPhoto(image) {
      const { packId } = await pack();
      const face = await call<mizar.EmbedPhotoResponse>(embedTimeoutMs, (options, done) =>
        client.embedPhoto({ image, packId }, new Metadata(), options, done),
      );
      return {
        packId: face.packId,
        embedding: Buffer.from(face.embedding),
        quality: face.quality,
        facePx: Math.round(Math.min(face.box?.width ?? 0, face.box?.height ?? 0)),
      };
    },
    close: () => client.close(),
  };
}

type Done<T> = (error: ServiceError | null, response: T) => void;

function call<T>(timeoutMs: number, start: (options: { deadline: number }, done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start({ deadline: Date.now() + timeoutMs }, (error, response) => (error ? reject(outward(error)) : resolve(response)));
  });
}

/** Mizar names its reason in the trailer `error-code`; the text stays inside. */
function outward(error: ServiceError) {
  const code = String(error.metadata?.get('error-code')[0] ?? '');
  if (code.startsWith('photo.') && Object.hasOwn(searchErrors.registry, code)) {
    return searchError(code as keyof typeof searchErrors.registry, { reason: code.slice('photo.'.length) }, error);
  }
  const temporary = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED, status.CANCELLED].includes(error.code);
  return searchError(temporary ? 'embedder.unavailable' : 'embedder.failed', {}, error);
}

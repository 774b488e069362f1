import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AppError } from '@star/platform';
import { mizar } from '@stardipper/proto';
import { z } from 'zod';
import type { FaceEmbedder, Pack } from '../ports';
import { searchError, searchErrors } from '../search.errors';

const embedTimeoutMs = 30_000;
const packTimeoutMs = 5_000;
/** A pack changes with a deployment, so this is soon enough to notice; a photo notices by itself. */
const packFreshMs = 10_000;
const maxMessageBytes = 32 * 1024 * 1024;

export interface MizarEmbedder extends FaceEmbedder {
  close(): void;
}

/** @param address `unix:/path` or `host:port` of a Mizar beside Star */
export function connectMizar(address: string): MizarEmbedder {
  const client = new mizar.MizarServiceClient(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_receive_message_length': maxMessageBytes,
    // A Mizar that was restarted must be found again within a second, not after the default two minutes.
    'grpc.max_reconnect_backoff_ms': 1_000,
  });
  let known: { pack: Pack; at: number } | undefined;
  const packNow = async (): Promise<Pack> => {
    const answer = await call<mizar.GetPackResponse>(packTimeoutMs, (options, done) => client.getPack({}, new Metadata(), options, done));
    known = {
      pack: { packId: answer.packId, contentSha256: answer.contentSha256, defaultThreshold: answer.defaultThreshold },
      at: performance.now(),
    };
    return known.pack;
  };
  const pack = async (): Promise<Pack> => {
    if (known && performance.now() - known.at < packFreshMs) return known.pack;
    try {
      return await packNow();
    } catch (error) {
      // A search needs only the name of the pack; one that was right a minute ago is better than no search.
      if (!known) throw error;
      return known.pack;
    }
  };
  const embedWith = (image: Buffer, packId: string) =>
    call<mizar.EmbedPhotoResponse>(embedTimeoutMs, (options, done) => client.embedPhoto({ image, packId }, new Metadata(), options, done));
  return {
    pack,
    packNow,
    async embedPhoto(image, pinned) {
      const face = pinned
        ? await embedWith(image, pinned)
        : await embedWith(image, (await pack()).packId).catch(async (error: unknown) => {
            if (!(error instanceof AppError) || error.code !== 'embedder.pack_changed') throw error;
            return embedWith(image, (await packNow()).packId);
          });
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
function outward(error: ServiceError): AppError {
  const code = String(error.metadata?.get('error-code')[0] ?? '');
  if (code === 'pack.mismatch') return searchError('embedder.pack_changed', {}, error);
  if (code.startsWith('photo.') && Object.hasOwn(searchErrors.registry, code)) {
    return searchError(code as keyof typeof searchErrors.registry, { reason: code.slice('photo.'.length), ...measures(error) }, error);
  }
  const temporary = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED, status.CANCELLED].includes(error.code);
  return searchError(temporary ? 'embedder.unavailable' : 'embedder.failed', {}, error);
}

const photoMeasures = z.object({ px: z.int(), min: z.int(), count: z.int() }).partial();

/** What Mizar measured: how large the face is and must be, or how many there are. */
function measures(error: ServiceError): z.infer<typeof photoMeasures> {
  try {
    return photoMeasures.parse(JSON.parse(String(error.metadata.get('error-params')[0] ?? '{}')));
  } catch {
    return {};
  }
}

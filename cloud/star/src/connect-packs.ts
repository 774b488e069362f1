import { credentials, Metadata } from '@grpc/grpc-js';
import { AppError } from '@star/platform';
import { connectMizar, type Embedders, type MizarEmbedder, type PackArchive, searchErrors } from '@star/search';
import { packs as wire } from '@stardipper/proto';

const openWithinMs = 20_000;

interface Held {
  readonly mizar: MizarEmbedder;
  until: number;
}

/**
 * Search's embedders: the installation's own Mizar, and those the supervisor runs for assigned packs, which are asked for
 * anew while they are used. A Mizar that has gone away is asked for at the next call.
 */
export function connectPacks(own: MizarEmbedder, address: string): Embedders & { close(): void } {
  const client = new wire.PacksServiceClient(address, credentials.createInsecure(), { 'grpc.max_reconnect_backoff_ms': 1000 });
  /** By hash of the archive. */
  const held = new Map<string, Held>();

  const open = async (archive: PackArchive): Promise<MizarEmbedder> => {
    const now = performance.now();
    const there = held.get(archive.sha256);
    if (there && now < there.until) return there.mizar;
    const { opened, refusal } = await askToOpen(client, archive);
    if (!opened) throw refused(refusal);
    forgetExpired(now);
    // Asked again after a third: a photo that takes long must not see its Mizar end.
    const until = now + opened.heldMs / 3;
    const kept = held.get(archive.sha256);
    if (kept) {
      kept.until = until;
      return kept.mizar;
    }
    const mizar = connectMizar(opened.address);
    held.set(archive.sha256, { mizar, until });
    return mizar;
  };

  /** Connections nobody has used for ten minutes. */
  const forgetExpired = (now: number): void => {
    for (const [sha256, { mizar, until }] of held) {
      if (now - until < 600_000) continue;
      held.delete(sha256);
      mizar.close();
    }
  };

  const through = async <T>(archive: PackArchive, ask: (mizar: MizarEmbedder) => Promise<T>): Promise<T> => {
    try {
      return await ask(await open(archive));
    } catch (error) {
      const there = held.get(archive.sha256);
      if (there && error instanceof AppError && error.code === 'embedder.unavailable') there.until = 0;
      throw error;
    }
  };

  return {
    own,
    of: (archive) => ({
      pack: () => through(archive, (mizar) => mizar.pack()),
      packNow: () => through(archive, (mizar) => mizar.packNow()),
      embedPhoto: (image, packId) => through(archive, (mizar) => mizar.embedPhoto(image, packId)),
    }),
    close: () => {
      for (const { mizar } of held.values()) mizar.close();
      client.close();
      own.close();
    },
  };
}

const askToOpen = (client: wire.PacksServiceClient, archive: PackArchive): Promise<wire.OpenPackResponse> =>
  new Promise((resolve, reject) => {
    client.openPack(archive, new Metadata(), { deadline: Date.now() + openWithinMs }, (error, answer) =>
      error ? reject(searchErrors.error('embedder.unavailable', {}, error)) : resolve(answer),
    );
  });

function refused(refusal: wire.PackRefusal | undefined): AppError {
  if (!refusal) return searchErrors.error('embedder.unavailable');
  const { code, paramsJson, temporary } = refusal;
  if (code === 'packs.preparing') return searchErrors.error('embedder.preparing');
  return new AppError(code, temporary ? 'unavailable' : 'unprocessable', JSON.parse(paramsJson) as Record<string, unknown>);
}

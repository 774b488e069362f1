import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, createLeases, requireFence } from '@star/platform';
import { listWaitingPhotos, notePackInUse, type WaitingPhoto, wantedMark, writeEmbedding, writeRefusal } from './embedding.store';
import type { SearchDeps } from './ports';
import { searchError } from './search.errors';

const leaseName = 'search.embed_photos';
const leaseMs = 15_000;
/** Listed at once, because listing looks at every photo there is; listed anew when somebody is wanted meanwhile. */
const atOnce = 1_000;
/** A photo on which the embedder fails as often as this, though it answers otherwise, is refused for good. */
const maxAttempts = 5;
const longestPauseMs = 15_000;
/** For one photo. */
const longestPostponedMs = 3_600_000;

/**
 * Embeds, one at a time, the photos that the pack in use has not seen, in one replica, until `signal` aborts: the work
 * of a changed pack. What is left to do is read from the database each time, so a killed process loses one photo's
 * work. While the embedder or storage is away it waits with growing pauses; nothing counts against a photo then.
 */
export async function keepPhotosEmbedded(deps: SearchDeps, signal: AbortSignal, onError?: (error: unknown) => void): Promise<void> {
  const { embedEveryMs, embedBackoffMs } = deps.settings;
  const work = async (fence: number, leased: AbortSignal) => {
    let pauseMs = embedBackoffMs;
    let said = '';
    while (!leased.aborted) {
      try {
        await embedWaitingPhotos(deps, fence, leased);
        pauseMs = embedBackoffMs;
        said = '';
        await sleep(embedEveryMs, undefined, { signal: leased }).catch(() => {});
      } catch (error) {
        if (leased.aborted) return;
        // An outage is said once, however long it takes.
        if (String(error) !== said) onError?.(error);
        said = String(error);
        await sleep(pauseMs, undefined, { signal: leased }).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      }
    }
  };
  await createLeases(deps.database).lead(leaseName, leaseMs, work, signal, onError);
}

/** Until none is left. Rejects with `embedder.unavailable` while nobody can embed, and with what storage rejects with. */
async function embedWaitingPhotos(deps: SearchDeps, fence: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { packId } = await deps.embedder.packNow();
    const { photos, wanted } = await deps.database.system('photos to embed again', async (tx) => {
      await requireFence(tx, leaseName, fence);
      await notePackInUse(tx, packId);
      return { wanted: await wantedMark(tx), photos: await listWaitingPhotos(tx, packId, deps.now(), atOnce) };
    });
    for (const photo of photos) {
      if ((await deps.database.system('people wanted since', wantedMark)) !== wanted) break;
      // Asked before each: what fails after this answer is the photo's, what fails in it is an outage.
      if ((await deps.embedder.packNow()).packId !== packId) break;
      if (signal.aborted) return;
      await embedAgain(deps, photo, packId, signal);
    }
    if (photos.length === 0) return;
  }
}

async function embedAgain(deps: SearchDeps, photo: WaitingPhoto, packId: string, signal: AbortSignal): Promise<void> {
  const refuse = ({ code, params }: AppError, retryAt: Date | null) =>
    deps.database.tenant(photo.tenant_id, (tx) => writeRefusal(tx, photo.id, packId, { code, params }, retryAt));
  const pauseMs = Math.min(deps.settings.embedBackoffMs * 10 * 4 ** photo.attempts, longestPostponedMs);
  const later = new Date(deps.now().getTime() + pauseMs);
  let image: Buffer | undefined;
  try {
    const stored = await deps.objects.get(photo.tenant_id, photo.object_key);
    image = stored && (await buffer(stored.body));
  } catch (cause) {
    // Storage that is away must not have a photo refused; one file that cannot be read must not hold up the others.
    const unreadable = searchError('photo.file_unreadable', {}, cause);
    await refuse(unreadable, later);
    throw unreadable;
  }
  try {
    // A photo that was deleted since it was listed has no row either: then nothing is written below.
    if (!image) throw searchError('photo.file_missing');
    const face = await deps.embedder.embedPhoto(image, packId);
    await deps.database.tenant(photo.tenant_id, (tx) => writeEmbedding(tx, photo.id, packId, face.embedding));
  } catch (error) {
    if (!(error instanceof AppError) || !/^(photo|embedder)\./.test(error.code)) throw error;
    // Cut short by the end of this replica, or by the next pack: nothing is known of the photo.
    if (signal.aborted || error.code === 'embedder.pack_changed') return;
    await refuse(error, error.code.startsWith('photo.') || photo.attempts + 1 >= maxAttempts ? null : later);
  }
}

import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, createLeases, requireFence } from '@star/platform';
import { findArchiveInUse, listArchivesInUse } from '../packs/pack-assignment.store';
import { embedderOf } from '../packs/tenant-pack';
import type { FaceEmbedder, SearchDeps } from '../ports';
import { sayOnce } from '../say-once';
import { searchError } from '../search.errors';
import {
  listWaitingPhotos,
  notePackInUse,
  photosForPack,
  type WaitingPhoto,
  wantedMark,
  writeEmbedding,
  writeRefusal,
} from './embedding.store';
import { embeddingSealOf } from './embedding-seal';

const leaseName = 'search.embed_photos';
const leaseMs = 15_000;
/** Listed at once, because listing looks at every photo there is; listed anew when somebody is wanted meanwhile. */
const atOnce = 1_000;
/** A photo on which the embedder fails as often as this, though it answers otherwise, is refused for good. */
const maxAttempts = 5;
const longestPauseMs = 15_000;
/** For one photo. */
const longestPostponedMs = 3_600_000;

type Report = (error: unknown) => void;

/**
 * Embeds the photos that their tenant's pack has not seen, in one replica, until `signal` aborts: the work of a changed
 * pack. Each pack has a line of its own, in which it is one photo after the other, so that a pack that is away or slow
 * holds up nobody else. What is left to do is read from the database each time, so a killed process loses one photo's
 * work. While the embedder or storage is away it waits with growing pauses; nothing counts against a photo then.
 */
export async function keepPhotosEmbedded(deps: SearchDeps, signal: AbortSignal, onError?: Report): Promise<void> {
  const work = async (fence: number, leased: AbortSignal) => {
    const lines = new Map<string, Promise<void>>();
    const outage = sayOnce(onError);
    const own = keepLine(deps, leased, () => embedWithOwn(deps, fence, leased), onError);
    while (!leased.aborted) {
      try {
        for (const sha256 of await deps.database.system('packs in use', listArchivesInUse)) {
          if (lines.has(sha256)) continue;
          const ended = new AbortController();
          const either = AbortSignal.any([leased, ended.signal]);
          const embed = async () => {
            if (!(await embedWithArchive(deps, sha256, fence, either))) ended.abort();
          };
          lines.set(
            sha256,
            keepLine(deps, either, embed, onError).then(() => void lines.delete(sha256)),
          );
        }
        outage.worked();
      } catch (error) {
        outage.failed(error);
      }
      await sleep(deps.settings.readyPacksEveryMs, undefined, { signal: leased }).catch(() => {});
    }
    await Promise.all([own, ...lines.values()]);
  };
  await createLeases(deps.database).lead(leaseName, leaseMs, work, signal, onError);
}

async function keepLine(deps: SearchDeps, signal: AbortSignal, embed: () => Promise<void>, onError?: Report): Promise<void> {
  const { embedEveryMs, embedBackoffMs } = deps.settings;
  let pauseMs = embedBackoffMs;
  const outage = sayOnce(onError);
  while (!signal.aborted) {
    try {
      await embed();
      pauseMs = embedBackoffMs;
      outage.worked();
      await sleep(embedEveryMs, undefined, { signal }).catch(() => {});
    } catch (error) {
      if (signal.aborted) return;
      outage.failed(error);
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }
}

/** Until none is left. Rejects with `embedder.unavailable` while nobody can embed, and with what storage rejects with. */
async function embedWithOwn(deps: SearchDeps, fence: number, signal: AbortSignal): Promise<void> {
  const { own } = deps.embedders;
  for (let left = 1; left > 0 && !signal.aborted; ) {
    const { packId, contentSha256 } = await own.packNow();
    const waiting = await deps.database.system('photos to embed again', async (tx) => {
      await requireFence(tx, leaseName, fence);
      await notePackInUse(tx, packId, contentSha256);
      return { wanted: await wantedMark(tx), photos: await listWaitingPhotos(tx, packId, null, deps.now(), atOnce) };
    });
    await embedListed(deps, own, packId, waiting, signal);
    left = waiting.photos.length;
  }
}

/** The same for an assigned pack, whose Mizar need not run while there is nothing to do. False when nobody has it in use any more. */
async function embedWithArchive(deps: SearchDeps, sha256: string, fence: number, signal: AbortSignal): Promise<boolean> {
  for (let left = 1; left > 0 && !signal.aborted; ) {
    const waiting = await deps.database.system('photos to embed again', async (tx) => {
      await requireFence(tx, leaseName, fence);
      const archive = await findArchiveInUse(tx, sha256);
      if (!archive) return undefined;
      const photos = await listWaitingPhotos(tx, archive.packId, sha256, deps.now(), atOnce);
      return { archive, wanted: await wantedMark(tx), photos };
    });
    if (!waiting) return false;
    await embedListed(deps, deps.embedders.of(waiting.archive), waiting.archive.packId, waiting, signal);
    left = waiting.photos.length;
  }
  return true;
}

async function embedListed(
  deps: SearchDeps,
  embedder: FaceEmbedder,
  packId: string,
  { photos, wanted }: { photos: readonly WaitingPhoto[]; wanted: string },
  signal: AbortSignal,
): Promise<void> {
  for (const photo of photos) {
    if ((await deps.database.system('people wanted since', wantedMark)) !== wanted) return;
    // Asked before each: what fails after this answer is the photo's, what fails in it is an outage.
    if ((await embedder.packNow()).packId !== packId) return;
    if (signal.aborted) return;
    await embedAgain(deps, embedder, photo, packId, signal);
  }
}

/**
 * The same at once for one person, as far as it can be done now: boxes that go by the tenant's pack already find the
 * person's faces by nothing else. Ends when `signal` aborts; rejects while nobody can embed.
 */
export async function embedRestOf(deps: SearchDeps, tenantId: string, personId: string, signal: AbortSignal): Promise<void> {
  const photos = await deps.database.tenant(tenantId, (tx) => photosForPack(tx, [personId]));
  const waiting = photos.filter((photo) => photo.state === 'waiting');
  if (waiting.length === 0) return;
  const embedder = await embedderOf(deps)(tenantId);
  const { packId } = await embedder.packNow();
  for (const photo of waiting) {
    if (signal.aborted) return;
    await embedAgain(deps, embedder, { ...photo, tenant_id: tenantId, attempts: 0 }, packId, signal);
  }
}

async function embedAgain(
  deps: SearchDeps,
  embedder: FaceEmbedder,
  photo: WaitingPhoto,
  packId: string,
  signal: AbortSignal,
): Promise<void> {
  const refuse = ({ code, params }: AppError, retryAt: Date | null) =>
    deps.database.tenant(photo.tenant_id, (tx) => writeRefusal(tx, photo.id, packId, { code, params }, retryAt));
  const pauseMs = Math.min(deps.settings.embedBackoffMs * 10 * 4 ** photo.attempts, longestPostponedMs);
  const later = new Date(deps.now().getTime() + pauseMs);
  let image: Buffer | undefined;
  try {
    const stored = await deps.objects.get(photo.tenant_id, photo.object_key);
    image = stored && (await buffer(stored.body));
  } catch (cause) {
    if (isErased(cause)) return void (await refuse(cause, null));
    // Storage that is away must not have a photo refused; one file that cannot be read must not hold up the others.
    const unreadable = searchError('photo.file_unreadable', {}, cause);
    await refuse(unreadable, later);
    throw unreadable;
  }
  try {
    // A photo that was deleted since it was listed has no row either: then nothing is written below.
    if (!image) throw searchError('photo.file_missing');
    const face = await embedder.embedPhoto(image, packId);
    const owner = { personId: photo.person_id, photoId: photo.id, packId };
    const embedding = (await embeddingSealOf(deps)(photo.tenant_id)).seal(owner, face.embedding);
    await deps.database.tenant(photo.tenant_id, (tx) => writeEmbedding(tx, owner, embedding));
  } catch (error) {
    if (isErased(error)) return void (await refuse(error, null));
    if (!(error instanceof AppError) || !/^(photo|embedder)\./.test(error.code)) throw error;
    // Cut short by the end of this replica, or by the next pack: nothing is known of the photo.
    if (signal.aborted || error.code === 'embedder.pack_changed') return;
    await refuse(error, error.code.startsWith('photo.') || photo.attempts + 1 >= maxAttempts ? null : later);
  }
}

const isErased = (error: unknown): error is AppError => error instanceof AppError && error.code === 'tenant.erased';

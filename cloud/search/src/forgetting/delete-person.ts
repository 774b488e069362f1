import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type Caller, type Tx, who } from '@star/platform';
import { forgetDocument, objectKeys } from '@stardipper/proto';
import { packOf } from '../packs/tenant-pack';
import { embedRestOf } from '../people/embed-waiting-photos';
import { embeddingSealOf } from '../people/embedding-seal';
import { deletePersonRow, findPerson, isSearchedFor, photosOf } from '../people/person.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { askBoxesToForget } from './ask-boxes-to-forget';
import { deleteDoomed } from './delete-doomed';
import { type DocumentRef, deleteVerdictsOf, doomPerson, embeddingsByPack, insertDeletion, searchesFor } from './deletion.store';
import { doomObjects, forgetDoomedObject } from './doomed.store';

/** From the document being put into storage until its deletion stands. */
const uploadSeconds = 600;
/** A person has 32 photos at most, each a tenth of a second. */
const embedWithinMs = 5_000;
/** For a pack that is not in use and that nobody searched for the person with. */
const cautiousThreshold = 0.4;

/**
 * Deletes the person with photos, embeddings, verdicts, matches, their pictures, the questions of searches and the
 * archives of exports, in which all that is as well, at the latest when storage answers again, and has every box of the
 * tenant forget them; `readDeletion` tells how far that is.
 * Refused with `person.in_use` while a search for the person runs: cancel that first.
 */
export const deletePerson =
  (deps: SearchDeps) =>
  async (caller: Caller, id: string): Promise<void> => {
    const { tenantId } = caller;
    // When nobody can embed in time, the person is deleted all the same: waiting for that would keep all the rest.
    const late = AbortSignal.timeout(embedWithinMs);
    await Promise.race([embedRestOf(deps, tenantId, id, late), once(late, 'abort')]).catch(() => undefined);
    const inUse = await packOf(deps)(tenantId).catch(() => undefined);
    const key = objectKeys.deletion(tenantId, id);
    const archives = await archivesOf(deps, tenantId);
    await deps.database.tenant(tenantId, async (tx) => {
      (await findPerson(tx, id)) ?? notFound(id);
      // Doomed first and pardoned with the deletion: a process that dies in between leaves no embedding without an owner.
      await doomObjects(tx, tenantId, [key], uploadSeconds);
    });
    await deps.database.tenant(tenantId, async (tx) => {
      (await findPerson(tx, id, true)) ?? notFound(id);
      if (await isSearchedFor(tx, tenantId, id)) throw searchError('person.in_use', { personId: id });
      const document = await writeDocument(deps, tx, tenantId, id, key, inUse);
      const photos = await photosOf(tx, [id]);
      const searches = await searchesFor(tx, tenantId, id);
      const questions = searches.map((searchId) => objectKeys.query(tenantId, searchId));
      await doomObjects(tx, tenantId, [...photos.map((photo) => photo.object_key), ...questions, ...archives]);
      await doomPerson(tx, tenantId, id);
      await deleteVerdictsOf(tx, searches, id);
      await deletePersonRow(tx, id);
      if ((await forgetDoomedObject(tx, key)) === 0) throw searchError('photo.upload_too_slow');
      const by = { deleted_by: caller.userId, deleted_by_name: caller.username, deleted_at: deps.now() };
      await insertDeletion(tx, tenantId, { person_id: id, ...by, photos: photos.length, document });
      await deps.audit(tx, { ...who(caller), action: 'person.deleted', subject: id, details: { photos: photos.length } });
    });
    await deleteDoomed(deps)();
    // The boxes that cannot be listed now are asked by the sweep.
    await askBoxesToForget(deps)().catch(() => undefined);
  };

async function archivesOf({ objects }: SearchDeps, tenantId: string): Promise<string[]> {
  const archives: string[] = [];
  for await (const { key } of objects.list(tenantId, 'exports'))
    if (key === objectKeys.exportArchive(tenantId, key.split('/')[2] ?? '')) archives.push(key);
  return archives;
}

async function writeDocument(
  deps: SearchDeps,
  tx: Tx,
  tenantId: string,
  personId: string,
  key: string,
  inUse: { packId: string; defaultThreshold: number } | undefined,
): Promise<DocumentRef> {
  const seal = await embeddingSealOf(deps)(tenantId);
  const packs = (await embeddingsByPack(tx, tenantId, personId)).map(({ pack_id: packId, photo_ids, embeddings, threshold }) => {
    const known = [threshold, inUse?.packId === packId ? inUse.defaultThreshold : null].filter((each) => each !== null);
    return {
      packId,
      threshold: known.length > 0 ? Math.min(...known) : cautiousThreshold,
      embeddings: embeddings.map((each, n) => seal.open({ personId, photoId: photo_ids[n] as string, packId }, each).toString('base64')),
    };
  });
  const body = Buffer.from(JSON.stringify(forgetDocument.parse({ personId, packs })));
  await deps.objects.put(tenantId, key, body, 'application/json');
  return { key, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.length };
}

function notFound(personId: string): never {
  throw searchError('person.not_found', { personId });
}

import { createHash, randomUUID } from 'node:crypto';
import { type Caller, requireRoom, type Tx, who } from '@star/platform';
import { objectKeys, type Page, type Person } from '@stardipper/proto';
import { byAge, decodeCursor, encodeCursor } from '../cursor';
import { deleteDoomed } from '../forgetting/delete-doomed';
import { doomObjects, forgetDoomedObject } from '../forgetting/doomed.store';
import { recordPhotosLook } from '../matches/record-look';
import { embedderOf } from '../packs/tenant-pack';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { noteFirstPack, type PhotoForPack, photosForPack, writeEmbedding } from './embedding.store';
import { embeddingSealOf } from './embedding-seal';
import {
  countPeople,
  deletePhotoRow,
  findPerson,
  insertPerson,
  insertPhoto,
  listPeople,
  type PersonRow,
  photosOf,
  updatePerson,
} from './person.store';
import { checkPhoto } from './photo-check';

/** queryDocument's limit for one person. */
const maxPhotosOfPerson = 32;
/** From the picture being put into storage until its row stands. */
const uploadSeconds = 600;
const listName = 'people';

/** Throws `quota.exceeded`. */
export const createPerson =
  (deps: SearchDeps) =>
  async (caller: Caller, input: { name: string; note: string }): Promise<Person> => {
    const { tenantId } = caller;
    const limits = await deps.limitsOf(tenantId);
    const row = await deps.database.tenant(tenantId, async (tx) => {
      await requireRoom(tx, tenantId, 'people', limits.people, () => countPeople(tx, tenantId));
      const person = await insertPerson(tx, caller.tenantId, { id: randomUUID(), ...input });
      await deps.audit(tx, { ...who(caller), action: 'person.created', subject: person.id });
      return person;
    });
    return shown(deps, caller, row, []);
  };

export const changePerson =
  (deps: SearchDeps) =>
  async (caller: Caller, id: string, change: { name?: string; note?: string }): Promise<Person> => {
    const [row, photos] = await deps.database.tenant(caller.tenantId, async (tx) => {
      const person = (await updatePerson(tx, id, change)) ?? notFound(id);
      await deps.audit(tx, { ...who(caller), action: 'person.changed', subject: id });
      return [person, await lookAtPhotos(deps, tx, caller, [id])] as const;
    });
    return shown(deps, caller, row, photos);
  };

export const getPerson =
  (deps: SearchDeps) =>
  async (caller: Caller, id: string): Promise<Person> => {
    const [row, photos] = await deps.database.tenant(caller.tenantId, async (tx) => {
      const person = (await findPerson(tx, id)) ?? notFound(id);
      return [person, await lookAtPhotos(deps, tx, caller, [id])] as const;
    });
    return shown(deps, caller, row, photos);
  };

/** Newest first. */
export const getPeople =
  (deps: SearchDeps) =>
  async (caller: Caller, query: { cursor?: string; limit: number }): Promise<Page<Person>> => {
    const before = decodeCursor(listName, query.cursor, byAge);
    const [rows, photos] = await deps.database.tenant(caller.tenantId, async (tx) => {
      const people = await listPeople(tx, caller.tenantId, before, query.limit + 1);
      return [
        people,
        await lookAtPhotos(
          deps,
          tx,
          caller,
          people.slice(0, query.limit).map((person) => person.id),
        ),
      ] as const;
    });
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: await Promise.all(page.map((row) => shown(deps, caller, row, photos))),
      nextCursor: rows.length > page.length && last ? encodeCursor(listName, [last.position, last.id]) : null,
    };
  };

/**
 * Checks the picture, finds the one face in it, stores both. Throws what `checkPhoto` and the embedder throw,
 * `person.not_found`, and `person.too_many_photos`. The same picture twice is one photo.
 */
export const addPhoto =
  (deps: SearchDeps) =>
  async (caller: Caller, personId: string, body: Buffer): Promise<Person> => {
    await deps.database.tenant(caller.tenantId, async (tx) => (await findPerson(tx, personId)) ?? notFound(personId));
    const picture = await checkPhoto(body);
    await deps.requireStorage(caller.tenantId, picture.jpeg.length);
    const embedder = await embedderOf(deps)(caller.tenantId);
    const face = await embedder.embedPhoto(picture.jpeg);
    const photoId = randomUUID();
    const owner = { personId, photoId, packId: face.packId };
    const embedding = (await embeddingSealOf(deps)(caller.tenantId)).seal(owner, face.embedding);
    const objectKey = objectKeys.photo(caller.tenantId, personId, photoId);
    // Doomed first and pardoned with the row: a process that dies in between leaves no face behind without an owner.
    await deps.database.tenant(caller.tenantId, (tx) => doomObjects(tx, caller.tenantId, [objectKey], uploadSeconds));
    await deps.objects.put(caller.tenantId, objectKey, picture.jpeg, 'image/jpeg');
    await deps.database.tenant(caller.tenantId, async (tx) => {
      (await findPerson(tx, personId, true)) ?? notFound(personId);
      const photos = await photosOf(tx, [personId]);
      const sha256 = createHash('sha256').update(body).digest('hex');
      if (photos.some((photo) => photo.sha256 === sha256)) return;
      if (photos.length >= maxPhotosOfPerson) throw searchError('person.too_many_photos', { max: maxPhotosOfPerson });
      const { width, height } = picture;
      const { facePx, quality } = face;
      await insertPhoto(tx, caller.tenantId, { id: photoId, personId, objectKey, sha256, width, height, facePx, quality });
      await writeEmbedding(tx, owner, embedding);
      if (embedder.own) await noteFirstPack(tx, face.packId);
      if ((await forgetDoomedObject(tx, objectKey)) === 0) throw searchError('photo.upload_too_slow');
      await deps.audit(tx, { ...who(caller), action: 'photo.added', subject: photoId, details: { personId } });
    });
    return getPerson(deps)(caller, personId);
  };

export const deletePhoto =
  (deps: SearchDeps) =>
  async (caller: Caller, personId: string, photoId: string): Promise<void> => {
    await deps.database.tenant(caller.tenantId, async (tx) => {
      const key = await deletePhotoRow(tx, personId, photoId);
      if (key === undefined) throw searchError('photo.not_found', { photoId });
      await doomObjects(tx, caller.tenantId, [key]);
      await deps.audit(tx, { ...who(caller), action: 'photo.deleted', subject: photoId, details: { personId } });
    });
    await deleteDoomed(deps)();
  };

function notFound(personId: string): never {
  throw searchError('person.not_found', { personId });
}

/** Photos about to be shown; looking at a face is recorded. */
async function lookAtPhotos(deps: SearchDeps, tx: Tx, caller: Caller, personIds: readonly string[]): Promise<PhotoForPack[]> {
  if (personIds.length === 0) return [];
  const photos = await photosForPack(tx, personIds);
  await recordPhotosLook(deps, tx, caller, photos);
  return photos;
}

async function shown(deps: SearchDeps, caller: Caller, row: PersonRow, photos: readonly PhotoForPack[]): Promise<Person> {
  const own = photos.filter((photo) => photo.person_id === row.id);
  return {
    id: row.id,
    name: row.name,
    note: row.note,
    createdAt: row.created_at.toISOString(),
    photosExpiredAt: row.photos_expired_at?.toISOString() ?? null,
    photos: await Promise.all(
      own.map(async (photo) => ({
        id: photo.id,
        url: await deps.objects.signedUrl(caller.tenantId, photo.object_key, 'GET', { expiresInS: deps.settings.imageUrlSeconds }),
        width: photo.width,
        height: photo.height,
        quality: photo.quality,
        facePx: photo.face_px,
        state: photo.state,
        refusal: photo.refusal,
        createdAt: photo.created_at.toISOString(),
      })),
    ),
  };
}

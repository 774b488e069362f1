import type { Tx } from '@star/platform';
import { agePosition, lastId } from '../cursor';

export interface PersonRow {
  readonly id: string;
  readonly name: string;
  readonly note: string;
  readonly created_at: Date;
  readonly photos_expired_at: Date | null;
}

export interface PhotoRow {
  readonly id: string;
  readonly person_id: string;
  readonly object_key: string;
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
  readonly face_px: number;
  readonly quality: number;
  readonly created_at: Date;
}

const photoColumns = 'id, person_id, object_key, sha256, width, height, face_px, quality, created_at';

export const insertPerson = async (tx: Tx, tenantId: string, person: { id: string; name: string; note: string }): Promise<PersonRow> =>
  (
    await tx.query<PersonRow>(
      'INSERT INTO search.people (tenant_id, id, name, note) VALUES ($1, $2, $3, $4) RETURNING id, name, note, created_at, photos_expired_at',
      [tenantId, person.id, person.name, person.note],
    )
  )[0] as PersonRow;

export const updatePerson = async (tx: Tx, id: string, change: { name?: string; note?: string }): Promise<PersonRow | undefined> =>
  (
    await tx.query<PersonRow>(
      'UPDATE search.people SET name = coalesce($2, name), note = coalesce($3, note) WHERE id = $1 RETURNING id, name, note, created_at, photos_expired_at',
      [id, change.name ?? null, change.note ?? null],
    )
  )[0];

/** With `forUpdate` nobody adds a photo or deletes the person until the transaction ends. */
export const findPerson = async (tx: Tx, id: string, forUpdate = false): Promise<PersonRow | undefined> =>
  (
    await tx.query<PersonRow>(
      `SELECT id, name, note, created_at, photos_expired_at FROM search.people WHERE id = $1 ${forUpdate ? 'FOR UPDATE' : ''}`,
      [id],
    )
  )[0];

/** Newest first, from after `before` (created_at, id). */
export const listPeople = (
  tx: Tx,
  tenantId: string,
  before: readonly [string, string] | undefined,
  limit: number,
): Promise<(PersonRow & { position: string })[]> =>
  tx.query(
    `SELECT id, name, note, created_at, photos_expired_at, ${agePosition} FROM search.people
     WHERE tenant_id = $1 AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '${lastId}'))
     ORDER BY created_at DESC, id DESC LIMIT $4`,
    [tenantId, before?.[0] ?? null, before?.[1] ?? null, limit],
  );

export const countPeople = async (tx: Tx, tenantId: string): Promise<number> =>
  Number((await tx.query('SELECT count(*) AS people FROM search.people WHERE tenant_id = $1', [tenantId]))[0]?.people);

export const deletePersonRow = (tx: Tx, id: string): Promise<number> => tx.execute('DELETE FROM search.people WHERE id = $1', [id]);

export const photosOf = (tx: Tx, personIds: readonly string[]): Promise<PhotoRow[]> =>
  tx.query<PhotoRow>(`SELECT ${photoColumns} FROM search.photos WHERE person_id = ANY($1) ORDER BY created_at, id`, [personIds]);

export interface NewPhoto {
  readonly id: string;
  readonly personId: string;
  readonly objectKey: string;
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
  readonly facePx: number;
  readonly quality: number;
}

export const insertPhoto = async (tx: Tx, tenantId: string, photo: NewPhoto): Promise<PhotoRow> =>
  (
    await tx.query<PhotoRow>(
      `INSERT INTO search.photos (tenant_id, id, person_id, object_key, sha256, width, height, face_px, quality)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ${photoColumns}`,
      [tenantId, photo.id, photo.personId, photo.objectKey, photo.sha256, photo.width, photo.height, photo.facePx, photo.quality],
    )
  )[0] as PhotoRow;

export const deletePhotoRow = async (tx: Tx, personId: string, photoId: string): Promise<string | undefined> =>
  (
    await tx.query<{ object_key: string }>('DELETE FROM search.photos WHERE id = $1 AND person_id = $2 RETURNING object_key', [
      photoId,
      personId,
    ])
  )[0]?.object_key;

export const isSearchedFor = async (tx: Tx, tenantId: string, personId: string): Promise<boolean> =>
  (
    await tx.query("SELECT 1 FROM search.searches WHERE tenant_id = $1 AND state = 'running' AND person_ids @> ARRAY[$2::uuid] LIMIT 1", [
      tenantId,
      personId,
    ])
  ).length > 0;

/** Until the transaction ends none of them can be deleted. In order, so that two searches of the same people cannot wait for each other. */
export const holdPeople = (tx: Tx, personIds: readonly string[]): Promise<unknown> =>
  tx.query('SELECT id FROM search.people WHERE id = ANY($1) ORDER BY id FOR KEY SHARE', [personIds]);

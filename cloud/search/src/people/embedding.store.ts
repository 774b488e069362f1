import type { Tx } from '@star/platform';
import { packOfTenantSql, packSinceSql, type Refusal } from '../packs/pack-assignment.store';
import type { EmbeddingOwner, SealedEmbedding } from './embedding-seal';
import type { PhotoRow } from './person.store';

/** Of the installation's own packs: this one is in use. */
export const notePackInUse = async (tx: Tx, packId: string, contentSha256: string): Promise<void> => {
  const [latest] = await tx.query<{ pack_id: string; content_sha256: string | null }>(
    'SELECT pack_id, content_sha256 FROM search.packs ORDER BY in_use_since DESC LIMIT 1',
  );
  const content = contentSha256 === '' ? null : contentSha256;
  if (latest?.pack_id === packId && latest.content_sha256 === content) return;
  await tx.execute(
    `INSERT INTO search.packs AS p (pack_id, content_sha256, in_use_since) VALUES ($1, $2, clock_timestamp())
     ON CONFLICT ON CONSTRAINT packs_pkey DO UPDATE
       SET content_sha256 = excluded.content_sha256, in_use_since = CASE WHEN $3 THEN p.in_use_since ELSE excluded.in_use_since END`,
    [packId, content, latest?.pack_id === packId],
  );
};

/** Only when nothing is known yet of the installation's own: an enrolment may know sooner than who looks after the packs. */
export const noteFirstPack = (tx: Tx, packId: string): Promise<number> =>
  tx.execute(
    'INSERT INTO search.packs (pack_id, in_use_since) SELECT $1, now() WHERE NOT EXISTS (SELECT 1 FROM search.packs) ON CONFLICT DO NOTHING',
    [packId],
  );

/** Of a row `e` of search.embeddings, left joined: nothing has come of the photo yet. */
export const waits = '(e.photo_id IS NULL OR e.retry_at IS NOT NULL)';
export const isRefused = '(e.refusal IS NOT NULL AND e.retry_at IS NULL)';

/** What has an embedding keeps it. Answers 0 when it does, or when the photo is gone. */
export const writeEmbedding = (tx: Tx, { photoId, packId }: EmbeddingOwner, embedding: SealedEmbedding): Promise<number> =>
  tx.execute(
    `INSERT INTO search.embeddings AS e (tenant_id, photo_id, pack_id, embedding)
     SELECT tenant_id, id, $2, $3 FROM search.photos WHERE id = $1 FOR KEY SHARE
     ON CONFLICT ON CONSTRAINT embeddings_pkey
       DO UPDATE SET embedding = excluded.embedding, refusal = NULL, retry_at = NULL, made_at = now() WHERE e.embedding IS NULL`,
    [photoId, packId, embedding],
  );

/** From before there were keys. For a system transaction. */
export const listUnsealed = (
  tx: Tx,
  limit: number,
): Promise<{ tenant_id: string; person_id: string; photo_id: string; pack_id: string; embedding: Buffer }[]> =>
  tx.query(
    `SELECT e.tenant_id, f.person_id, e.photo_id, e.pack_id, e.embedding FROM search.embeddings e JOIN search.photos f ON f.id = e.photo_id
     WHERE NOT e.sealed ORDER BY e.tenant_id LIMIT $1`,
    [limit],
  );

export const writeSealed = (tx: Tx, { photoId, packId }: EmbeddingOwner, embedding: SealedEmbedding): Promise<number> =>
  tx.execute('UPDATE search.embeddings SET embedding = $3, sealed = true WHERE photo_id = $1 AND pack_id = $2 AND NOT sealed', [
    photoId,
    packId,
    embedding,
  ]);

export const deleteUnsealed = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute('DELETE FROM search.embeddings WHERE tenant_id = $1 AND NOT sealed', [tenantId]);

/** For good, or until `retryAt`. Answers how often it was tried, or 0 when there is an embedding or no photo. */
export const writeRefusal = async (tx: Tx, photoId: string, packId: string, refusal: Refusal, retryAt: Date | null): Promise<number> =>
  (
    await tx.query<{ attempts: number }>(
      `INSERT INTO search.embeddings AS e (tenant_id, photo_id, pack_id, refusal, retry_at)
       SELECT tenant_id, id, $2, $3, $4 FROM search.photos WHERE id = $1 FOR KEY SHARE
       ON CONFLICT ON CONSTRAINT embeddings_pkey
         DO UPDATE SET refusal = excluded.refusal, retry_at = excluded.retry_at, attempts = e.attempts + 1, made_at = now()
         WHERE e.embedding IS NULL
       RETURNING attempts`,
      [photoId, packId, JSON.stringify(refusal), retryAt],
    )
  )[0]?.attempts ?? 0;

export interface WaitingPhoto {
  readonly tenant_id: string;
  readonly id: string;
  readonly person_id: string;
  readonly object_key: string;
  /** How often it could not be embedded so far. */
  readonly attempts: number;
}

/**
 * Whose turn it is: people somebody waits for, then the oldest. Tenants take turns photo by photo, so that a large one
 * does not hold up the others. Of tenants with the pack in this archive, or (null) with the installation's own. For a
 * system transaction. Looks at every photo there is: 300,000 take it 2 to 4 seconds.
 */
export const listWaitingPhotos = (
  tx: Tx,
  packId: string,
  archiveSha256: string | null,
  now: Date,
  limit: number,
): Promise<WaitingPhoto[]> =>
  tx.query(
    `SELECT tenant_id, id, person_id, object_key, attempts FROM (
       SELECT f.tenant_id, f.id, f.person_id, f.object_key, coalesce(e.attempts, 0) AS attempts, p.wanted_at,
         row_number() OVER (PARTITION BY f.tenant_id ORDER BY p.wanted_at, p.created_at, p.id, f.created_at, f.id) AS place
       FROM search.photos f JOIN search.people p ON p.id = f.person_id
         LEFT JOIN search.embeddings e ON e.photo_id = f.id AND e.pack_id = $1
         LEFT JOIN (search.pack_assignments a JOIN search.tenant_packs t USING (tenant_id, pack_id)) ON a.tenant_id = f.tenant_id
       WHERE (e.photo_id IS NULL OR e.retry_at <= $2) AND t.archive_sha256 IS NOT DISTINCT FROM $4
     ) w ORDER BY wanted_at IS NULL, place, tenant_id LIMIT $3`,
    [packId, now, limit, archiveSha256],
  );

/** These people come before others who wait; asking again does not send them back in line. */
export const wantPeople = (tx: Tx, personIds: readonly string[]): Promise<number> =>
  tx.execute(
    `UPDATE search.people p SET wanted_at = now()
     WHERE id = ANY($1) AND (wanted_at IS NULL OR wanted_at < ${packSinceSql('p.tenant_id')})`,
    [personIds],
  );

/** Another text whenever somebody more is wanted. For a system transaction. */
export const wantedMark = async (tx: Tx): Promise<string> =>
  (
    await tx.query<{ mark: string }>(
      "SELECT count(*) || ' ' || coalesce(max(wanted_at), 'epoch') AS mark FROM search.people WHERE wanted_at IS NOT NULL",
    )
  )[0]?.mark ?? '';

export interface PersonForPack {
  readonly id: string;
  readonly embeddings: number;
  /** Photos of which the pack has not been shown. */
  readonly waiting: number;
}

/** Which of these people exist, and what of their photos the pack has. */
export const peopleForPack = (tx: Tx, personIds: readonly string[], packId: string): Promise<PersonForPack[]> =>
  tx.query(
    `SELECT p.id, count(e.embedding) AS embeddings, count(f.id) FILTER (WHERE ${waits}) AS waiting
     FROM search.people p LEFT JOIN search.photos f ON f.person_id = p.id
       LEFT JOIN search.embeddings e ON e.photo_id = f.id AND e.pack_id = $2
     WHERE p.id = ANY($1) GROUP BY p.id`,
    [personIds, packId],
  );

/** In a stable order: the query document of a search must hash the same when it is built again. */
export const embeddingsOf = (
  tx: Tx,
  personIds: readonly string[],
  packId: string,
): Promise<{ person_id: string; photo_id: string; embedding: SealedEmbedding }[]> =>
  tx.query(
    `SELECT f.person_id, e.photo_id, e.embedding FROM search.photos f JOIN search.embeddings e ON e.photo_id = f.id
     WHERE f.person_id = ANY($1) AND e.pack_id = $2 AND e.embedding IS NOT NULL ORDER BY f.person_id, f.created_at, f.id`,
    [personIds, packId],
  );

export type PhotoState = 'embedded' | 'waiting' | 'refused';
export interface PhotoForPack extends PhotoRow {
  readonly state: PhotoState;
  readonly refusal: Refusal | null;
}

/** The photos of these people, oldest first, and what their tenant's pack makes of each. */
export const photosForPack = (tx: Tx, personIds: readonly string[]): Promise<PhotoForPack[]> =>
  tx.query(
    `SELECT f.id, f.person_id, f.object_key, f.sha256, f.width, f.height, f.face_px, f.quality, f.created_at, e.refusal,
       CASE WHEN ${waits} THEN 'waiting' WHEN ${isRefused} THEN 'refused' ELSE 'embedded' END AS state
     FROM search.photos f LEFT JOIN search.embeddings e ON e.photo_id = f.id AND e.pack_id = ${packOfTenantSql('f.tenant_id')}
     WHERE f.person_id = ANY($1) ORDER BY f.created_at, f.id`,
    [personIds],
  );

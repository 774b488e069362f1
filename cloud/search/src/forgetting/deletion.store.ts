import type { Tx } from '@star/platform';
import type { ForgetReceipt, TaskError } from '@stardipper/proto';
import { lastId } from '../cursor';
import type { SealedEmbedding } from '../people/embedding-seal';

/** Where the document for the boxes lies. */
export interface DocumentRef {
  readonly key: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface DeletionRow {
  readonly tenant_id: string;
  readonly person_id: string;
  readonly deleted_by: string;
  readonly deleted_by_name: string;
  readonly deleted_at: Date;
  readonly photos: number;
  readonly matches: number | null;
  readonly crops: number | null;
  readonly cleaned_at: Date | null;
  readonly document: DocumentRef;
  readonly fanned_out_at: Date | null;
  readonly completed_at: Date | null;
}

const columns = `tenant_id, person_id, deleted_by, deleted_by_name, deleted_at, photos, matches, crops, cleaned_at, document, fanned_out_at,
  completed_at`;

export type NewDeletion = Pick<DeletionRow, 'person_id' | 'deleted_by' | 'deleted_by_name' | 'deleted_at' | 'photos' | 'document'>;

export const insertDeletion = (tx: Tx, tenantId: string, deletion: NewDeletion): Promise<number> =>
  tx.execute(
    `INSERT INTO search.person_deletions (tenant_id, person_id, deleted_by, deleted_by_name, deleted_at, photos, document)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      tenantId,
      deletion.person_id,
      deletion.deleted_by,
      deletion.deleted_by_name,
      deletion.deleted_at,
      deletion.photos,
      JSON.stringify(deletion.document),
    ],
  );

export const findDeletion = async (tx: Tx, personId: string): Promise<DeletionRow | undefined> =>
  (await tx.query<DeletionRow>(`SELECT ${columns} FROM search.person_deletions WHERE person_id = $1`, [personId]))[0];

/** Of one person, one at a time: nobody else asks its boxes or takes their receipts until the transaction ends. */
export const lockDeletion = async (tx: Tx, personId: string): Promise<DeletionRow | undefined> =>
  (await tx.query<DeletionRow>(`SELECT ${columns} FROM search.person_deletions WHERE person_id = $1 FOR UPDATE`, [personId]))[0];

/** Newest first, from after `before` (deleted_at, person_id). */
export const listDeletions = (
  tx: Tx,
  tenantId: string,
  before: readonly [string, string] | undefined,
  limit: number,
): Promise<(DeletionRow & { position: string })[]> =>
  tx.query(
    `SELECT ${columns}, to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS position FROM search.person_deletions
     WHERE tenant_id = $1 AND (deleted_at, person_id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '${lastId}'))
     ORDER BY deleted_at DESC, person_id DESC LIMIT $4`,
    [tenantId, before?.[0] ?? null, before?.[1] ?? null, limit],
  );

/** Which of these people were deleted. */
export const deletedAmong = async (tx: Tx, personIds: readonly string[]): Promise<Set<string>> =>
  new Set(
    (await tx.query<{ person_id: string }>('SELECT person_id FROM search.person_deletions WHERE person_id = ANY($1)', [personIds])).map(
      (row) => row.person_id,
    ),
  );

/** Deletions whose boxes are still to be listed, to be asked, or to be closed. For a system transaction. */
export const listDueDeletions = (tx: Tx, now: Date, limit: number): Promise<{ tenant_id: string; person_id: string }[]> =>
  tx.query(
    `SELECT d.tenant_id, d.person_id FROM search.person_deletions d
     WHERE d.completed_at IS NULL AND (d.fanned_out_at IS NULL
       OR EXISTS (SELECT 1 FROM search.deletion_edges e WHERE e.person_id = d.person_id AND e.state = 'pending' AND e.ask_at <= $1)
       OR (d.cleaned_at IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM search.deletion_edges e WHERE e.person_id = d.person_id AND e.state = 'pending')))
     ORDER BY d.deleted_at LIMIT $2`,
    [now, limit],
  );

export const writeFannedOut = (tx: Tx, personId: string, at: Date): Promise<number> =>
  tx.execute('UPDATE search.person_deletions SET fanned_out_at = $2 WHERE person_id = $1', [personId, at]);

export const writeCompleted = (tx: Tx, personId: string, at: Date): Promise<number> =>
  tx.execute('UPDATE search.person_deletions SET completed_at = $2 WHERE person_id = $1', [personId, at]);

/** Counts add up: matches that came late are removed later. */
export const writeCleaned = (tx: Tx, personId: string, at: Date, matches: number, crops: number): Promise<number> =>
  tx.execute(
    `UPDATE search.person_deletions SET cleaned_at = $2, matches = coalesce(matches, 0) + $3, crops = coalesce(crops, 0) + $4
     WHERE person_id = $1`,
    [personId, at, matches, crops],
  );

export interface DeletionEdgeRow {
  readonly person_id: string;
  readonly edge_id: string;
  readonly edge_name: string;
  readonly state: 'pending' | 'done' | 'gone';
  readonly attempts: number;
  readonly ask_at: Date;
  readonly asked_at: Date | null;
  readonly error: TaskError | null;
  readonly answered_at: Date | null;
  readonly receipt: ForgetReceipt | null;
}

export const insertDeletionEdges = (
  tx: Tx,
  tenantId: string,
  personId: string,
  edges: readonly { edgeId: string; edgeName: string }[],
  askAt: Date,
): Promise<number> =>
  tx.execute(
    `INSERT INTO search.deletion_edges (tenant_id, person_id, edge_id, edge_name, ask_at)
     SELECT $1, $2, edge_id, edge_name, $5 FROM unnest($3::uuid[], $4::text[]) AS e (edge_id, edge_name) ON CONFLICT DO NOTHING`,
    [tenantId, personId, edges.map((edge) => edge.edgeId), edges.map((edge) => edge.edgeName), askAt],
  );

export const edgesOfDeletions = (tx: Tx, personIds: readonly string[]): Promise<DeletionEdgeRow[]> =>
  tx.query(
    `SELECT person_id, edge_id, edge_name, state, attempts, ask_at, asked_at, error, answered_at, receipt FROM search.deletion_edges
     WHERE person_id = ANY($1) ORDER BY edge_name, edge_id`,
    [personIds],
  );

export const writeAsked = (tx: Tx, personId: string, edgeId: string, at: Date, askAgainAt: Date): Promise<number> =>
  tx.execute('UPDATE search.deletion_edges SET attempts = attempts + 1, asked_at = $3, ask_at = $4 WHERE person_id = $1 AND edge_id = $2', [
    personId,
    edgeId,
    at,
    askAgainAt,
  ]);

export const writeAskAgain = (tx: Tx, personId: string, edgeId: string, askAt: Date, error: TaskError | null): Promise<number> =>
  tx.execute("UPDATE search.deletion_edges SET ask_at = $3, error = $4 WHERE person_id = $1 AND edge_id = $2 AND state = 'pending'", [
    personId,
    edgeId,
    askAt,
    error === null ? null : JSON.stringify(error),
  ]);

export const writeReceipt = (tx: Tx, personId: string, edgeId: string, at: Date, receipt: ForgetReceipt): Promise<number> =>
  tx.execute(
    `UPDATE search.deletion_edges SET state = 'done', answered_at = $3, receipt = $4, error = NULL
     WHERE person_id = $1 AND edge_id = $2 AND state <> 'done'`,
    [personId, edgeId, at, JSON.stringify(receipt)],
  );

export const writeGone = (tx: Tx, personId: string, edgeIds: readonly string[], at: Date): Promise<number> =>
  tx.execute(
    "UPDATE search.deletion_edges SET state = 'gone', answered_at = $3 WHERE person_id = $1 AND edge_id = ANY($2) AND state = 'pending'",
    [personId, edgeIds, at],
  );

export const noteDeletionCrops = (
  tx: Tx,
  tenantId: string,
  personId: string,
  crops: readonly { edgeId: string; key: string }[],
): Promise<number> =>
  tx.execute(
    `INSERT INTO search.deletion_crops (tenant_id, person_id, edge_id, object_key)
     SELECT $1, $2, edge_id, object_key FROM unnest($3::uuid[], $4::text[]) AS c (edge_id, object_key) ON CONFLICT DO NOTHING`,
    [tenantId, personId, crops.map((crop) => crop.edgeId), crops.map((crop) => crop.key)],
  );

export const takeDeletionCrops = async (tx: Tx, personId: string, edgeId: string): Promise<string[]> =>
  (
    await tx.query<{ object_key: string }>('DELETE FROM search.deletion_crops WHERE person_id = $1 AND edge_id = $2 RETURNING object_key', [
      personId,
      edgeId,
    ])
  ).map((row) => row.object_key);

export const doomPerson = (tx: Tx, tenantId: string, personId: string): Promise<number> =>
  tx.execute('INSERT INTO search.doomed_people (tenant_id, person_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [tenantId, personId]);

export const listDoomedPeople = (tx: Tx, limit: number): Promise<{ tenant_id: string; person_id: string }[]> =>
  tx.query('SELECT tenant_id, person_id FROM search.doomed_people ORDER BY doomed_at LIMIT $1', [limit]);

export const forgetDoomedPerson = (tx: Tx, personId: string): Promise<number> =>
  tx.execute('DELETE FROM search.doomed_people WHERE person_id = $1', [personId]);

/** Searches that asked for the person. */
export const searchesFor = async (tx: Tx, tenantId: string, personId: string): Promise<string[]> =>
  (
    await tx.query<{ id: string }>('SELECT id FROM search.searches WHERE tenant_id = $1 AND person_ids @> ARRAY[$2::uuid]', [
      tenantId,
      personId,
    ])
  ).map((row) => row.id);

/** Match ids are `<sighting>:<person>`. */
export const deleteVerdictsOf = (tx: Tx, searchIds: readonly string[], personId: string): Promise<number> =>
  tx.execute("DELETE FROM search.verdicts WHERE search_id = ANY($1) AND right(match_id, 37) = ':' || $2::text", [searchIds, personId]);

/** Every embedding of the person with its photo, and the lowest threshold anybody searched for them with, by pack. */
export const embeddingsByPack = (
  tx: Tx,
  tenantId: string,
  personId: string,
): Promise<{ pack_id: string; photo_ids: string[]; embeddings: SealedEmbedding[]; threshold: number | null }[]> =>
  tx.query(
    `SELECT e.pack_id, array_agg(f.id ORDER BY f.created_at, f.id) AS photo_ids,
       array_agg(e.embedding ORDER BY f.created_at, f.id) AS embeddings,
       (SELECT min(s.threshold) FROM search.searches s
        WHERE s.tenant_id = $1 AND s.pack_id = e.pack_id AND s.person_ids @> ARRAY[$2::uuid]) AS threshold
     FROM search.photos f JOIN search.embeddings e ON e.photo_id = f.id
     WHERE f.person_id = $2 AND e.embedding IS NOT NULL GROUP BY e.pack_id ORDER BY e.pack_id`,
    [tenantId, personId],
  );

import type { Analytics, Tx } from '@star/platform';

/** `2026-11-21`, the oldest UTC day before `beforeMs` on which the tenant still has matches. */
export async function oldestDayOfMatches(analytics: Analytics, tenantId: string, beforeMs: number): Promise<string | undefined> {
  const rows = await analytics.forTenant(tenantId).query<{ day: string; n: number | string }>(
    `SELECT toString(min(toDate(at))) AS day, count() AS n FROM search_matches
     WHERE tenant_id = {tenant:UUID} AND at < fromUnixTimestamp64Milli({before:Int64})`,
    { before: beforeMs },
  );
  return Number(rows[0]?.n ?? 0) > 0 ? rows[0]?.day : undefined;
}

const within = 'at >= fromUnixTimestamp64Milli({from:Int64}) AND at < fromUnixTimestamp64Milli({to:Int64})';

/** Distinct matches between two moments by search. */
export async function matchesBySearch(
  analytics: Analytics,
  tenantId: string,
  fromMs: number,
  toMs: number,
): Promise<Record<string, number>> {
  const rows = await analytics
    .forTenant(tenantId)
    .query<{ search_id: string; n: number | string }>(
      `SELECT search_id, uniqExact(match_id) AS n FROM search_matches WHERE tenant_id = {tenant:UUID} AND ${within} GROUP BY search_id`,
      { from: fromMs, to: toMs },
    );
  return Object.fromEntries(rows.map((row) => [row.search_id, Number(row.n)]));
}

export interface MatchRef {
  readonly search_id: string;
  readonly match_id: string;
}

/** Matches between two moments, from after `after`. */
export const pageMatches = (
  analytics: Analytics,
  tenantId: string,
  fromMs: number,
  toMs: number,
  after: MatchRef | undefined,
  limit: number,
): Promise<MatchRef[]> =>
  analytics.forTenant(tenantId).query<MatchRef>(
    `SELECT DISTINCT search_id, match_id FROM search_matches WHERE tenant_id = {tenant:UUID} AND ${within}
       AND (toString(search_id), match_id) > ({afterSearch:String}, {afterMatch:String})
     ORDER BY toString(search_id), match_id LIMIT {limit:UInt32}`,
    { from: fromMs, to: toMs, afterSearch: after?.search_id ?? '', afterMatch: after?.match_id ?? '', limit },
  );

/** When these faces were seen, ms, by `<edge> <sighting>`; those that no match has are left out. At most 100. */
export async function timesOfSightings(
  analytics: Analytics,
  tenantId: string,
  sightingIds: readonly string[],
): Promise<Map<string, number>> {
  const rows = await analytics.forTenant(tenantId).query<{ edge_id: string; sighting_id: string; at_ms: number | string }>(
    `SELECT edge_id, sighting_id, toUnixTimestamp64Milli(max(at)) AS at_ms FROM search_matches
       WHERE tenant_id = {tenant:UUID} AND sighting_id IN {ids:Array(String)} GROUP BY edge_id, sighting_id`,
    { ids: sightingIds },
  );
  return new Map(rows.map((row) => [`${row.edge_id} ${row.sighting_id}`, Number(row.at_ms)]));
}

export const deleteVerdicts = (tx: Tx, matches: readonly MatchRef[]): Promise<number> =>
  tx.execute(
    'DELETE FROM search.verdicts v USING unnest($1::uuid[], $2::text[]) AS m (search_id, match_id) WHERE v.search_id = m.search_id AND v.match_id = m.match_id',
    [matches.map((match) => match.search_id), matches.map((match) => match.match_id)],
  );

export const writeExpiringDay = (tx: Tx, tenantId: string, day: string, matches: Readonly<Record<string, number>>): Promise<number> =>
  tx.execute(
    `INSERT INTO search.expiring_days AS d (tenant_id, day, matches) VALUES ($1, $2, $3)
     ON CONFLICT ON CONSTRAINT expiring_days_pkey DO UPDATE SET matches = d.matches || excluded.matches`,
    [tenantId, day, JSON.stringify(matches)],
  );

export const findExpiringDay = async (tx: Tx, tenantId: string): Promise<string | undefined> =>
  (
    await tx.query<{ day: string }>('SELECT day::text AS day FROM search.expiring_days WHERE tenant_id = $1 ORDER BY day LIMIT 1', [
      tenantId,
    ])
  )[0]?.day;

/** Answers what it had; undefined when somebody else took it. */
export const takeExpiringDay = async (tx: Tx, tenantId: string, day: string): Promise<Record<string, number> | undefined> =>
  (
    await tx.query<{ matches: Record<string, number> }>(
      'DELETE FROM search.expiring_days WHERE tenant_id = $1 AND day = $2 RETURNING matches',
      [tenantId, day],
    )
  )[0]?.matches;

/** Searches that are gone are passed over. In order, so that nobody waits for another in a circle. */
export const addExpiredMatches = (tx: Tx, matches: Readonly<Record<string, number>>): Promise<number> =>
  tx.execute(
    `UPDATE search.searches s SET matches_expired = s.matches_expired + m.n
     FROM (SELECT s.id, x.n FROM search.searches s JOIN unnest($1::uuid[], $2::bigint[]) AS x (id, n) ON x.id = s.id ORDER BY s.id FOR UPDATE OF s) m
     WHERE s.id = m.id`,
    [Object.keys(matches), Object.values(matches)],
  );

export interface OldPhoto {
  readonly id: string;
  readonly object_key: string;
}

export const listPhotosBefore = (tx: Tx, tenantId: string, before: Date, limit: number): Promise<OldPhoto[]> =>
  tx.query('SELECT id, object_key FROM search.photos WHERE tenant_id = $1 AND created_at < $2 ORDER BY created_at, id LIMIT $3', [
    tenantId,
    before,
    limit,
  ]);

/** With their embeddings; the people stay, and know when it was. Answers which of them were still there. */
export const expirePhotoRows = async (tx: Tx, photoIds: readonly string[], at: Date): Promise<string[]> =>
  (
    await tx.query<{ id: string }>(
      `WITH gone AS (DELETE FROM search.photos WHERE id = ANY($1) RETURNING id, person_id),
         told AS (UPDATE search.people SET photos_expired_at = $2 WHERE id IN (SELECT person_id FROM gone))
       SELECT id FROM gone`,
      [photoIds, at],
    )
  ).map((row) => row.id);

/** Those that were not doomed yet: of these the caller counts what goes. */
export const doomExpired = async (tx: Tx, tenantId: string, keys: readonly string[]): Promise<Set<string>> =>
  new Set(
    (
      await tx.query<{ object_key: string }>(
        `INSERT INTO search.doomed_objects (tenant_id, object_key) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING RETURNING object_key`,
        [tenantId, keys],
      )
    ).map((row) => row.object_key),
  );

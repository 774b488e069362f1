import type { Analytics } from '@star/platform';
import type { MatchReport } from '@stardipper/proto';
import type { TaskRow } from '../searches/task.store';

export const matchIdOf = (match: MatchReport): string => `${match.sightingId}:${match.personId}`;

/** `YYYY-MM-DD hh:mm:ss.mmm`: the one form of a DateTime64 that ClickHouse does not guess at. */
const clickHouseTime = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');

/** Stores a report's matches; the same again changes nothing. */
export async function insertMatches(
  analytics: Analytics,
  tenantId: string,
  task: TaskRow,
  seq: number,
  matches: readonly MatchReport[],
): Promise<void> {
  await analytics.forTenant(tenantId).insert(
    'search_matches',
    matches.map((match) => ({
      search_id: task.search_id,
      match_id: matchIdOf(match),
      task_id: task.id,
      edge_id: task.edge_id,
      camera_id: match.cameraId,
      person_id: match.personId,
      sighting_id: match.sightingId,
      at: clickHouseTime(match.at),
      score: match.score,
      quality: match.quality,
      box: match.box,
      frame_width: match.frame[0],
      frame_height: match.frame[1],
    })),
    `${task.id}:${seq}`,
  );
}

/** Distinct matches of one task. */
export async function countMatches(analytics: Analytics, tenantId: string, task: TaskRow): Promise<number> {
  const rows = await analytics
    .forTenant(tenantId)
    .query<{ n: string | number }>(
      'SELECT uniqExact(match_id) AS n FROM search_matches WHERE tenant_id = {tenant:UUID} AND search_id = {search:UUID} AND task_id = {task:UUID}',
      { search: task.search_id, task: task.id },
    );
  return Number(rows[0]?.n ?? 0);
}

export interface StoredMatch {
  readonly id: string;
  readonly taskId: string;
  readonly edgeId: string;
  readonly cameraId: string;
  readonly personId: string;
  readonly sightingId: string;
  readonly atMs: number;
  readonly score: number;
  readonly quality: number;
  readonly box: readonly number[];
  readonly frame: readonly [number, number];
}

interface MatchDbRow {
  readonly match_id: string;
  readonly task_id: string;
  readonly edge_id: string;
  readonly camera_id: string;
  readonly person_id: string;
  readonly sighting_id: string;
  readonly at_ms: string | number;
  readonly score: number;
  readonly quality: number;
  readonly box: number[];
  readonly frame_width: number;
  readonly frame_height: number;
}

const columns = `match_id, task_id, edge_id, camera_id, person_id, sighting_id, toUnixTimestamp64Milli(at) AS at_ms, score, quality, box,
  frame_width, frame_height`;

const stored = (row: MatchDbRow): StoredMatch => ({
  id: row.match_id,
  taskId: row.task_id,
  edgeId: row.edge_id,
  cameraId: row.camera_id,
  personId: row.person_id,
  sightingId: row.sighting_id,
  atMs: Number(row.at_ms),
  score: row.score,
  quality: row.quality,
  box: row.box,
  frame: [row.frame_width, row.frame_height],
});

export interface MatchFilter {
  readonly personId?: string;
  readonly cameraId?: string;
  readonly minScore?: number;
  readonly fromMs?: number;
  readonly toMs?: number;
}

/** Newest sighting first, from after `after` (at, id). */
export async function listMatches(
  analytics: Analytics,
  tenantId: string,
  searchId: string,
  filter: MatchFilter,
  after: readonly [number, string] | undefined,
  limit: number,
): Promise<StoredMatch[]> {
  const conditions = ['tenant_id = {tenant:UUID}', 'search_id = {search:UUID}'];
  const params: Record<string, unknown> = { search: searchId, limit };
  const where = (condition: string, name: string, value: unknown) => {
    if (value === undefined) return;
    conditions.push(condition);
    params[name] = value;
  };
  where('person_id = {person:UUID}', 'person', filter.personId);
  where('camera_id = {camera:UUID}', 'camera', filter.cameraId);
  where('score >= toFloat32({score:Float64})', 'score', filter.minScore);
  where('at >= fromUnixTimestamp64Milli({from:Int64})', 'from', filter.fromMs);
  where('at < fromUnixTimestamp64Milli({to:Int64})', 'to', filter.toMs);
  if (after) {
    conditions.push('(toUnixTimestamp64Milli(at), match_id) < ({afterAt:Int64}, {afterId:String})');
    params.afterAt = after[0];
    params.afterId = after[1];
  }
  const rows = await analytics
    .forTenant(tenantId)
    .query<MatchDbRow>(
      `SELECT ${columns} FROM search_matches FINAL WHERE ${conditions.join(' AND ')} ORDER BY at DESC, match_id DESC LIMIT {limit:UInt32}`,
      params,
    );
  return rows.map(stored);
}

/** Parameters of a query travel in its URL, which servers cut off at 16 KB. */
const idsOfOneQuery = 100;
const pairsOfOneQuery = 60;

/** The scores of matches of any of the tenant's searches; what is not there is left out. */
export async function scoresOf(
  analytics: Analytics,
  tenantId: string,
  matches: readonly { readonly search_id: string; readonly match_id: string }[],
): Promise<Map<string, number>> {
  const scores = new Map<string, number>();
  for (let from = 0; from < matches.length; from += pairsOfOneQuery) {
    const some = matches.slice(from, from + pairsOfOneQuery);
    const rows = await analytics.forTenant(tenantId).query<{ search_id: string; match_id: string; best: number }>(
      `SELECT search_id, match_id, max(score) AS best FROM search_matches
         WHERE tenant_id = {tenant:UUID} AND search_id IN {searches:Array(UUID)} AND match_id IN {ids:Array(String)}
         GROUP BY search_id, match_id`,
      { searches: [...new Set(some.map((match) => match.search_id))], ids: some.map((match) => match.match_id) },
    );
    for (const row of rows) scores.set(`${row.search_id} ${row.match_id}`, row.best);
  }
  return scores;
}

export async function matchesByIds(
  analytics: Analytics,
  tenantId: string,
  searchId: string,
  ids: readonly string[],
): Promise<StoredMatch[]> {
  const found: StoredMatch[] = [];
  for (let from = 0; from < ids.length; from += idsOfOneQuery) {
    const rows = await analytics.forTenant(tenantId).query<MatchDbRow>(
      `SELECT ${columns} FROM search_matches FINAL
         WHERE tenant_id = {tenant:UUID} AND search_id = {search:UUID} AND match_id IN {ids:Array(String)}`,
      { search: searchId, ids: ids.slice(from, from + idsOfOneQuery) },
    );
    found.push(...rows.map(stored));
  }
  return found;
}

export const deleteMatches = (analytics: Analytics, tenantId: string, searchId: string): Promise<void> =>
  analytics.forTenant(tenantId).remove('search_matches', 'search_id', searchId);

export const deleteMatchesOfPerson = (analytics: Analytics, tenantId: string, personId: string): Promise<void> =>
  analytics.forTenant(tenantId).remove('search_matches', 'person_id', personId);

/** Distinct matches of a person in all of the tenant's searches. */
export async function countMatchesOfPerson(analytics: Analytics, tenantId: string, personId: string): Promise<number> {
  const rows = await analytics
    .forTenant(tenantId)
    .query<{ n: string | number }>(
      'SELECT uniqExact(search_id, match_id) AS n FROM search_matches WHERE tenant_id = {tenant:UUID} AND person_id = {person:UUID}',
      { person: personId },
    );
  return Number(rows[0]?.n ?? 0);
}

/** A picture by the box that has it and the face it shows. */
export interface CropRef {
  readonly edgeId: string;
  readonly sightingId: string;
}

async function pageCrops(
  analytics: Analytics,
  tenantId: string,
  which: string,
  params: Record<string, unknown>,
  after: CropRef | undefined,
  limit: number,
): Promise<CropRef[]> {
  const rows = await analytics.forTenant(tenantId).query<{ edge_id: string; sighting_id: string }>(
    `SELECT DISTINCT edge_id, sighting_id FROM search_matches WHERE tenant_id = {tenant:UUID} AND ${which}
       AND (toString(edge_id), sighting_id) > ({afterEdge:String}, {afterSighting:String})
     ORDER BY toString(edge_id), sighting_id LIMIT {limit:UInt32}`,
    { ...params, afterEdge: after?.edgeId ?? '', afterSighting: after?.sightingId ?? '', limit },
  );
  return rows.map((row) => ({ edgeId: row.edge_id, sightingId: row.sighting_id }));
}

export const pageCropsOfPerson = (analytics: Analytics, tenantId: string, personId: string, after: CropRef | undefined, limit: number) =>
  pageCrops(analytics, tenantId, 'person_id = {person:UUID}', { person: personId }, after, limit);

/** Those that no other search has. */
export const pageCropsOfSearch = (analytics: Analytics, tenantId: string, searchId: string, after: CropRef | undefined, limit: number) =>
  pageCrops(
    analytics,
    tenantId,
    `search_id = {search:UUID} AND (edge_id, sighting_id) NOT IN (
       SELECT edge_id, sighting_id FROM search_matches WHERE tenant_id = {tenant:UUID} AND search_id != {search:UUID}
         AND sighting_id IN (SELECT sighting_id FROM search_matches WHERE tenant_id = {tenant:UUID} AND search_id = {search:UUID}))`,
    { search: searchId },
    after,
    limit,
  );

import { type Caller, keptFrom, who } from '@star/platform';
import { type Match, objectKeys, type Page } from '@stardipper/proto';
import { z } from 'zod';
import { decodeCursor, encodeCursor } from '../cursor';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { requireSearch } from '../searches/require-search';
import { announceChange, lockSearch, logMatches } from '../searches/search.store';
import { listMatches, type MatchFilter, matchesByIds, type StoredMatch } from './match.store';
import { recordCropsLook } from './record-look';
import { verdictsOf, writeVerdict } from './verdict.store';

const afterMatch = z.tuple([z.int(), z.string().max(200)]);

/** Newest sighting first. Every crop handed out is recorded. Throws `search.not_found`, `search.cursor_invalid`. */
export const readMatches =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string, query: MatchFilter & { cursor?: string; limit: number }): Promise<Page<Match>> => {
    const list = `matches:${searchId}`;
    const after = decodeCursor(list, query.cursor, afterMatch);
    await deps.database.tenant(caller.tenantId, (tx) => requireSearch(tx, searchId));
    const rows = await listMatches(deps.analytics, caller.tenantId, searchId, query, after, query.limit + 1);
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: await showMatches(deps, caller, searchId, page),
      nextCursor: rows.length > page.length && last ? encodeCursor(list, [last.atMs, last.id]) : null,
    };
  };

/** Judges one match and tells followers. Throws `search.match_not_found`. */
export const setVerdict =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string, matchId: string, verdict: Match['verdict']): Promise<Match> => {
    const { tenantId, userId } = caller;
    await deps.database.tenant(tenantId, (tx) => requireSearch(tx, searchId));
    const [found] = await matchesByIds(deps.analytics, tenantId, searchId, [matchId]);
    if (!found) throw searchError('search.match_not_found', { matchId });
    await deps.database.tenant(tenantId, async (tx) => {
      if (!(await lockSearch(tx, searchId))) throw searchError('search.not_found', { searchId });
      const [before] = await verdictsOf(tx, searchId, [matchId]);
      await writeVerdict(tx, tenantId, searchId, matchId, verdict, userId);
      await logMatches(tx, tenantId, searchId, await announceChange(tx, searchId), [matchId]);
      const change = { before: { verdict: before?.verdict ?? 'unreviewed' }, after: { verdict }, details: { searchId } };
      await deps.audit(tx, { ...who(caller), action: 'match.judged', subject: matchId, ...change });
    });
    return (await showMatches(deps, caller, searchId, [found]))[0] as Match;
  };

/** Adds verdicts and signed addresses of the crops that the boxes have uploaded so far. */
export async function showMatches(deps: SearchDeps, caller: Caller, searchId: string, matches: readonly StoredMatch[]): Promise<Match[]> {
  const crops = await Promise.all(matches.map((match) => cropUrl(deps, caller.tenantId, match)));
  const seen = matches.filter((_, i) => crops[i] !== null);
  const verdicts = await deps.database.tenant(caller.tenantId, async (tx) => {
    await recordCropsLook(deps, tx, caller, searchId, seen);
    return new Map(
      (
        await verdictsOf(
          tx,
          searchId,
          matches.map((match) => match.id),
        )
      ).map((row) => [row.match_id, row.verdict]),
    );
  });
  const kept = keptFrom(deps.now(), (await deps.retention.daysOf(caller.tenantId)).crops).getTime();
  return matches.map((match, i) => ({
    id: match.id,
    searchId,
    personId: match.personId,
    cameraId: match.cameraId,
    edgeId: match.edgeId,
    at: new Date(match.atMs).toISOString(),
    score: match.score,
    quality: match.quality,
    box: [match.box[0] ?? 0, match.box[1] ?? 0, match.box[2] ?? 0, match.box[3] ?? 0],
    frame: [match.frame[0], match.frame[1]],
    cropUrl: crops[i] ?? null,
    cropExpired: !crops[i] && match.atMs < kept,
    verdict: verdicts.get(match.id) ?? 'unreviewed',
  }));
}

async function cropUrl(deps: SearchDeps, tenantId: string, match: StoredMatch): Promise<string | null> {
  const key = objectKeys.crop(tenantId, match.edgeId, match.sightingId);
  if (!(await deps.objects.head(tenantId, key))) return null;
  return deps.objects.signedUrl(tenantId, key, 'GET', { expiresInS: deps.settings.imageUrlSeconds });
}

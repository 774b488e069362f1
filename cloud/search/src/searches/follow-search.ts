import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller, Database } from '@star/platform';
import { matchesByIds } from '../matches/match.store';
import { showMatches } from '../matches/matches';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { requireSearch } from './require-search';
import { readSearch } from './search.read';
import { changedChannel, matchLogAfter } from './search.store';
import { requireSeen } from './see-searches';

/** Between two reads for one follower: a busy search changes hundreds of times a second, a person looks a few times. */
const breathMs = 200;
/** Batches of matches read at once for one follower; each has up to 100. */
const batchesAtOnce = 5;

/** Wakes the followers of this replica when a search changes on any of them. */
export interface SearchSignals {
  readonly followers: number;
  /** Calls `wake` whenever the search may have changed, until the answer is called. */
  subscribe(searchId: string, wake: () => void): () => void;
  /** Resolves when changes are heard; they are until `signal` aborts. */
  listen(database: Database, signal: AbortSignal): Promise<void>;
}

export function createSignals(): SearchSignals {
  const wakers = new Map<string, Set<() => void>>();
  let followers = 0;
  return {
    get followers() {
      return followers;
    },
    subscribe(searchId, wake) {
      const waiting = wakers.get(searchId) ?? new Set();
      wakers.set(searchId, waiting.add(wake));
      followers += 1;
      return () => {
        if (!waiting.delete(wake)) return;
        followers -= 1;
        if (waiting.size === 0) wakers.delete(searchId);
      };
    },
    listen: (database, signal) =>
      database.listen(
        changedChannel,
        (searchId) => {
          // Empty after a reconnect: anything may have changed meanwhile.
          const concerned = searchId === '' ? [...wakers.values()] : [wakers.get(searchId) ?? new Set<() => void>()];
          for (const waiting of concerned) for (const wake of waiting) wake();
        },
        signal,
      ),
  };
}

/**
 * Server-sent events of one search: first the search as it is, then what changes. The follower pulls: a notification
 * only says that there is something to read, so a slow reader costs one batch of memory, gets fewer `search` events
 * and loses no `match`. With the last id it has seen, a returning reader gets exactly the matches it missed, from
 * whichever replica. Ends when `signal` aborts, after `maxStreamMs`, and when the caller may no longer see the search or
 * `stillLetIn` throws, which both are asked every `recheckMs`: whoever may comes back with the last id. Throws
 * `search.not_found` and `search.too_many_followers` before the first piece.
 */
export const followSearch =
  (deps: SearchDeps, signals: SearchSignals) =>
  async (
    caller: Caller,
    searchId: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
    stillLetIn: () => Promise<void>,
  ): Promise<AsyncGenerator<string>> => {
    if (signals.followers >= deps.settings.maxFollowers)
      throw searchError('search.too_many_followers', { max: deps.settings.maxFollowers });
    const refused = new AbortController();
    const ended = AbortSignal.any([signal, refused.signal, AbortSignal.timeout(deps.settings.maxStreamMs)]);
    const bell = doorbell();
    const unsubscribe = signals.subscribe(searchId, bell.ring);
    // Not in the generator alone: one whose reader has gone before it began never runs, and so never ends.
    ended.addEventListener('abort', unsubscribe, { once: true });
    try {
      const revision = await deps.database.tenant(caller.tenantId, async (tx) => (await requireSearch(tx, searchId)).revision);
      const check = async () => {
        await stillLetIn();
        await requireSeen(deps, caller, searchId, 'searches.read');
      };
      void askAgain(check, deps.settings.recheckMs, ended).catch(() => refused.abort());
      const resumed = lastEventId !== undefined && /^\d{1,15}$/.test(lastEventId) && Number(lastEventId) <= revision;
      return pieces(deps, caller, searchId, resumed ? Number(lastEventId) : revision, bell, ended, unsubscribe);
    } catch (error) {
      unsubscribe();
      throw error;
    }
  };

/** Until `ended`; rejects as `check` does. */
async function askAgain(check: () => Promise<void>, everyMs: number, ended: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(everyMs, undefined, { signal: ended }).catch(() => {});
    if (ended.aborted) return;
    await check();
  }
}

async function* pieces(
  deps: SearchDeps,
  caller: Caller,
  searchId: string,
  startAt: number,
  bell: Doorbell,
  ended: AbortSignal,
  unsubscribe: () => void,
): AsyncGenerator<string> {
  try {
    let at = startAt;
    yield event('search', at, await readSearch(deps)(caller.tenantId, searchId));
    while (!ended.aborted) {
      const change = await readChange(deps, caller, searchId, at);
      if (change.text !== '') yield change.text;
      at = change.at;
      if (change.more) continue;
      const rung = await bell.wait(deps.settings.heartbeatMs, ended);
      if (ended.aborted) return;
      if (!rung) yield ': still here\n\n';
      else await sleep(breathMs, undefined, { signal: ended }).catch(() => {});
    }
  } catch (error) {
    // Deleted under the reader's eyes: the stream ends, and the next request gets the 404.
    if (!(error instanceof Error && 'code' in error && error.code === 'search.not_found')) throw error;
  } finally {
    unsubscribe();
  }
}

async function readChange(
  deps: SearchDeps,
  caller: Caller,
  searchId: string,
  at: number,
): Promise<{ text: string; at: number; more: boolean }> {
  const { revision, batches } = await deps.database.tenant(caller.tenantId, async (tx) => {
    const search = await requireSearch(tx, searchId);
    // Bounded by the revision just read: a batch that commits in between belongs to the next round.
    return { revision: search.revision, batches: await matchLogAfter(tx, searchId, at, search.revision, batchesAtOnce) };
  });
  if (revision === at) return { text: '', at, more: false };
  const found = await matchesByIds(deps.analytics, caller.tenantId, searchId, [...new Set(batches.flatMap((batch) => batch.match_ids))]);
  const shown = new Map((await showMatches(deps, caller, searchId, found)).map((match) => [match.id, match]));
  const events = batches.flatMap((batch) => {
    const matches = batch.match_ids.flatMap((id) => shown.get(id) ?? []);
    // Only the last one of a batch carries the id: a reader cut off halfway gets the whole batch again.
    return matches.map((match, i) => event('match', i === matches.length - 1 ? batch.revision : undefined, match));
  });
  const last = batches.at(-1);
  if (batches.length === batchesAtOnce && last) return { text: events.join(''), at: last.revision, more: true };
  events.push(event('search', revision, await readSearch(deps)(caller.tenantId, searchId)));
  return { text: events.join(''), at: revision, more: false };
}

const event = (name: 'search' | 'match', id: number | undefined, data: unknown): string =>
  `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

interface Doorbell {
  ring(): void;
  /** True when it rang since the last wait; false after `ms` or when `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<boolean>;
}

function doorbell(): Doorbell {
  let rung = false;
  let wake = () => {};
  return {
    ring() {
      rung = true;
      wake();
    },
    async wait(ms, signal) {
      if (!rung && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          signal.addEventListener('abort', wake, { once: true });
        });
        signal.removeEventListener('abort', wake);
        wake = () => {};
      }
      const answer = rung;
      rung = false;
      return answer;
    },
  };
}

import type { IsapiClient } from './isapi-client';
import type { Listed, Mark } from './listed';
import { fault } from './recorder.errors';
import { labelWindow, momentOf, type RecorderTime } from './recorder-time';
import { type Match, newSearchId, type SearchPage, searchPage } from './search-request';

const WINDOW_MS = 24 * 3_600_000;
const PAGE = 64;
/** Some firmware ends a search after 4000 results and says OK. From here on an OK is checked with one more search. */
const DOUBT_AFTER = 1000;
/** Pages in a row that bring only what lies inside earlier footage. */
const MAX_IDLE_PAGES = 20;
/** A day of one-second segments at 40 a page. */
const MAX_REQUESTS_PER_WINDOW = 2500;
const SMALLEST_SPLIT_MS = 60_000;

export interface ListDeps {
  readonly client: IsapiClient;
  readonly time: RecorderTime;
  readonly channel: number;
  /** Runs one request when the recorder has room for it. */
  readonly admit: <T>(work: () => Promise<T>) => Promise<T>;
  readonly signal?: AbortSignal;
}

/**
 * The footage of a channel that overlaps [fromMs, toMs), by its beginning, lazily: nothing is asked for before it is
 * needed. Windows of at most a day; after each a mark. What one window has listed the next leaves out.
 */
export async function* listFootage(deps: ListDeps, fromMs: number, toMs: number): AsyncGenerator<Listed | Mark> {
  let last: Listed | undefined;
  for (let at = fromMs; at < toMs; ) {
    const end = Math.min(toMs, at + WINDOW_MS);
    for await (const item of new Window(deps, at, end).items(last)) {
      // What began before this window overlapped the one before, and has been listed there.
      // A window is asked for a little wide where clocks change; what begins after it is the next one's.
      if (item.toMs <= fromMs || item.fromMs >= end || (at > fromMs && item.fromMs < at)) continue;
      last = item;
      yield item;
    }
    at = end;
    yield { untilMs: at };
  }
}

/** One window of at most a day, read to its end whatever the recorder says about pages. */
class Window {
  private requests = 0;
  private readonly seen = new Set<string>();
  private furthest = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly deps: ListDeps,
    private readonly fromMs: number,
    private readonly toMs: number,
  ) {}

  async *items(previous: Listed | undefined): AsyncGenerator<Listed> {
    let last: Listed | undefined;
    for (let from = this.fromMs; ; ) {
      const before = this.seen.size;
      let received = 0;
      let idlePages = 0;
      const searchId = newSearchId();
      for (;;) {
        const page = await this.request(searchId, from, received);
        received += page.received;
        const fresh = this.fresh(page.matches, last ?? previous);
        if (isNewestFirst(fresh)) {
          yield* this.sorted();
          return;
        }
        const reached = this.furthest;
        for (const item of fresh.sort((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs)) {
          if (last && item.fromMs < last.fromMs) throw fault('recorder.bad_answer', { reason: 'out of order' });
          this.furthest = Math.max(this.furthest, item.toMs);
          last = item;
          yield item;
        }
        if (!page.more && received < DOUBT_AFTER) return;
        // MORE without anything new, or the end of a long search: a new search from the last beginning tells.
        if (!page.more || fresh.length === 0) break;
        idlePages = this.furthest > reached ? 0 : idlePages + 1;
        if (idlePages > MAX_IDLE_PAGES) throw fault('recorder.listing_endless', { from: this.fromMs, to: this.toMs });
      }
      if (this.seen.size === before || !last) return;
      from = Math.max(from, last.fromMs);
    }
  }

  private async request(searchId: string, from: number, position: number): Promise<SearchPage> {
    if (++this.requests > MAX_REQUESTS_PER_WINDOW) throw fault('recorder.listing_endless', { from: this.fromMs, to: this.toMs });
    const { client, time, channel, admit, signal } = this.deps;
    const window = labelWindow(time, from, this.toMs);
    return admit(() => searchPage(client, { searchId, channel, ...window, position, max: PAGE }, signal));
  }

  /** The matches not seen before, in real time. */
  private fresh(matches: readonly Match[], previous: Listed | undefined): Listed[] {
    const fresh: Listed[] = [];
    let before = previous;
    for (const match of matches) {
      const key = `${match.start.digits} ${match.end.digits} ${match.uri}`;
      if (this.seen.has(key)) continue;
      this.seen.add(key);
      const fromMs = momentOf(this.deps.time, match.start, before && { notBefore: before.fromMs, near: before.toMs });
      const toMs = momentOf(this.deps.time, match.end, { notBefore: fromMs + 1, near: fromMs });
      // An end before its beginning is a broken entry of the recorder's table; it holds no footage.
      if (toMs <= fromMs) continue;
      before = { fromMs, toMs, uri: match.uri, sizeBytes: match.sizeBytes };
      fresh.push(before);
    }
    return fresh;
  }

  /** A recorder that lists backwards: the whole window at once, halved until a search is short enough to be believed. */
  private async *sorted(): AsyncGenerator<Listed> {
    const all: Listed[] = [];
    const searchId = newSearchId();
    this.seen.clear();
    for (let received = 0; ; ) {
      const page = await this.request(searchId, this.fromMs, received);
      const fresh = this.fresh([...page.matches].reverse(), undefined);
      received += page.received;
      all.push(...fresh);
      if (received >= DOUBT_AFTER && this.toMs - this.fromMs > SMALLEST_SPLIT_MS) {
        const middle = Math.floor((this.fromMs + this.toMs) / 2000) * 1000;
        yield* new Window(this.deps, this.fromMs, middle).sorted();
        for await (const item of new Window(this.deps, middle, this.toMs).sorted()) if (item.fromMs >= middle) yield item;
        return;
      }
      if (!page.more || fresh.length === 0) break;
    }
    yield* all.sort((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs);
  }
}

const isNewestFirst = (items: readonly Listed[]): boolean =>
  items.length > 1 && items.every((item, i) => i === 0 || item.fromMs < (items[i - 1]?.fromMs ?? 0));

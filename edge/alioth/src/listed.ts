/** One stretch of footage in real time, as a recorder lists it. Unix ms UTC, half-open. */
export interface Listed {
  readonly fromMs: number;
  readonly toMs: number;
  readonly uri: string;
  readonly sizeBytes: number;
}

/** Everything that begins before `untilMs` has been passed on. */
export interface Mark {
  readonly untilMs: number;
}

export interface ListingPage {
  readonly segments: readonly Listed[];
  /** Everything before this is in the page or does not exist. */
  readonly listedUntilMs: number;
}

/** Windows without footage passed in one page; then an empty page answers, so that no caller waits for a year of them. */
const MAX_MARKS_PER_PAGE = 32;

/**
 * Cuts an ordered stream of footage into pages without overlaps: a stretch that lies inside the one before is left
 * out, and one that reaches into the next ends where that begins. So footage is searched once, the spans of two
 * pages never overlap, and a page can begin exactly where the last one ended, also in another process.
 */
export class Listing {
  private pending: Listed | undefined;
  private ended = false;

  constructor(
    private readonly items: AsyncIterator<Listed | Mark>,
    private readonly fromMs: number,
    private readonly toMs: number,
  ) {}

  get finished(): boolean {
    return this.ended && this.pending === undefined;
  }

  /** The next `size` segments. Throws what the source throws; the listing is of no use then. */
  async page(size: number): Promise<ListingPage> {
    const segments: Listed[] = [];
    const push = (segment: Listed): void => {
      if (segment.toMs > this.fromMs && segment.fromMs < this.toMs && segment.toMs > segment.fromMs) segments.push(segment);
    };
    for (let marks = 0; ; ) {
      const next = await this.items.next();
      if (next.done) {
        if (this.pending) push(this.pending);
        this.pending = undefined;
        this.ended = true;
        return { segments, listedUntilMs: this.toMs };
      }
      if ('untilMs' in next.value) {
        marks++;
        const { untilMs } = next.value;
        const open = this.pending !== undefined && this.pending.toMs > untilMs;
        if (open || untilMs >= this.toMs || untilMs <= this.fromMs || marks < MAX_MARKS_PER_PAGE) continue;
        if (this.pending) push(this.pending);
        this.pending = undefined;
        return { segments, listedUntilMs: untilMs };
      }
      const before = this.pending;
      this.pending = before ? this.follow(before, next.value, push) : next.value;
      if (segments.length >= size) return { segments, listedUntilMs: this.pending.fromMs };
    }
  }

  /** Passes `before` on when `item` really comes after it; answers which of the two is pending now. */
  private follow(before: Listed, item: Listed, push: (segment: Listed) => void): Listed {
    if (item.toMs <= before.toMs && item.fromMs >= before.fromMs) return before;
    if (item.fromMs <= before.fromMs) return item;
    push(item.fromMs < before.toMs ? { ...before, toMs: item.fromMs } : before);
    return item;
  }
}

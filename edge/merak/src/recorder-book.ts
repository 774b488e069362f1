import type { Clock } from '@dipper/platform';
import type { alioth } from '@stardipper/proto';
import { FairGate } from './fair-gate';
import type { Neighbours } from './neighbours';

/** Listing is one short request at a time; two keep the next camera's page coming while one is read. */
const listingsAtOnce = 2;
const refreshMs = 5_000;
/** After so many spans of one recorder failed in a row, the next ones are tried once, not again and again. */
const tripAfter = 3;

export interface Recorder {
  readonly id: string;
  readonly downloads: FairGate;
  readonly listings: FairGate;
  failuresInRow: number;
  /** Channels whose listing was given up on when it was last needed, and how long that took, ms: it will again. */
  readonly unlisted: Map<number, number>;
}

export interface BookDeps {
  readonly neighbours: Pick<Neighbours, 'listRecorders'>;
  readonly clock: Clock;
  readonly ageMs: number;
  /** Whether the index stage can take more files. */
  readonly roomForFiles: () => boolean;
}

/** What each recorder can bear, and the doors that keep Merak within it. */
export class RecorderBook {
  private readonly recorders = new Map<string, Recorder>();
  private statuses = new Map<string, alioth.RecorderStatus>();
  private refreshedAt = Number.NEGATIVE_INFINITY;
  private refreshing: Promise<void> | undefined;

  constructor(private readonly deps: BookDeps) {}

  recorder(id: string): Recorder {
    const known = this.recorders.get(id);
    if (known) return known;
    const { clock, ageMs, roomForFiles } = this.deps;
    const now = () => clock.now();
    const made = {
      id,
      downloads: new FairGate({ limit: () => this.sessions(id), open: roomForFiles, now, ageMs }),
      listings: new FairGate({ limit: () => listingsAtOnce, now, ageMs }),
      failuresInRow: 0,
      unlisted: new Map<number, number>(),
    };
    this.recorders.set(id, made);
    return made;
  }

  /** Download sessions the recorder can bear; 1 while Alioth has not told. */
  sessions(id: string): number {
    return Math.max(1, Math.min(64, this.statuses.get(id)?.maxSessions ?? 1));
  }

  status(id: string): alioth.RecorderStatus | undefined {
    return this.statuses.get(id);
  }

  all(): alioth.RecorderStatus[] {
    return [...this.statuses.values()];
  }

  known(): Recorder[] {
    return [...this.recorders.values()];
  }

  attempts(id: string, normally: number): number {
    return this.recorder(id).failuresInRow >= tripAfter ? 1 : normally;
  }

  /** Asks Alioth again when the last answer is older than a few seconds. An Alioth that is away leaves the last answer standing. */
  async refresh(signal: AbortSignal): Promise<void> {
    if (this.deps.clock.now() - this.refreshedAt < refreshMs) return;
    this.refreshing ??= this.ask(signal).finally(() => {
      this.refreshing = undefined;
    });
    await this.refreshing;
  }

  private async ask(signal: AbortSignal): Promise<void> {
    try {
      const recorders = await this.deps.neighbours.listRecorders(signal);
      this.statuses = new Map(recorders.map((r) => [r.recorderId, r]));
      this.refreshedAt = this.deps.clock.now();
    } catch {
      return;
    }
    this.admitAll();
  }

  admitAll(): void {
    for (const recorder of this.recorders.values()) recorder.downloads.admit();
  }
}

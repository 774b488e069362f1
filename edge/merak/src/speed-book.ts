import type { DatabaseSync } from 'node:sqlite';
import { type Clock, inTransaction } from '@dipper/platform';
import type { CameraSpeed, SpeedKey, SpeedStore } from './speed.store';

type Camera = Pick<SpeedKey, 'recorderId' | 'channel'>;

/** The newest measurement counts for a third: follows a box that became busier within a few segments, and smooths single odd ones. */
const weight = 1 / 3;
/** A box that was never measured: about 1 % of the footage's length on a small machine. Only shown as not measured. */
const guess: CameraSpeed = { downloadMsPerS: 15, indexMsPerS: 20, bytesPerS: 250_000, footageShare: 1, samples: 0 };
const saveEveryMs = 2_000;

/** Learns what footage costs, per camera and pack. Measurements are kept in memory and written every few seconds: losing the last ones costs nothing. */
export class SpeedBook {
  private readonly speeds = new Map<string, { key: SpeedKey; speed: CameraSpeed; changed: boolean }>();
  private readonly share = new SharedTime();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly db: DatabaseSync,
    private readonly store: SpeedStore,
    private readonly clock: Clock,
  ) {
    for (const { key, speed } of store.all()) this.speeds.set(keyOf(key), { key, speed, changed: false });
  }

  downloaded(camera: Camera, packId: string, footageMs: number, tookMs: number, bytes: number): void {
    if (footageMs < 500) return;
    const perS = 1_000 / footageMs;
    // An answer within 2 ms came from the spool, and says nothing about the recorder.
    this.learn(
      { ...camera, packId },
      tookMs < 2 ? { bytesPerS: bytes * perS } : { downloadMsPerS: tookMs * perS, bytesPerS: bytes * perS },
    );
  }

  /** Measures one IndexSegment call from now; `end` without arguments only closes it. */
  indexing(): { end: (camera?: Camera, packId?: string, footageMs?: number) => void } {
    const stop = this.share.start();
    let ended = false;
    return {
      end: (camera, packId, footageMs) => {
        if (ended) return;
        ended = true;
        const tookMs = stop();
        if (camera && packId && footageMs && footageMs >= 500)
          this.learn({ ...camera, packId }, { indexMsPerS: (tookMs * 1_000) / footageMs, samples: 1 });
      },
    };
  }

  listed(camera: Camera, packId: string, footageShare: number): void {
    this.learn({ ...camera, packId }, { footageShare: Math.min(1, Math.max(0, footageShare)) });
  }

  /** The camera's own speed, or undefined before its first sample. */
  measured(camera: Camera, packId: string): CameraSpeed | undefined {
    const known = this.speeds.get(keyOf({ ...camera, packId }))?.speed;
    return known && known.samples > 0 ? known : undefined;
  }

  /** What to expect of a camera: its own speed, else the mean of its recorder's others, else of the box. */
  expected(camera: Camera, packId: string): CameraSpeed {
    const own = this.measured(camera, packId);
    if (own) return own;
    const sampled = [...this.speeds.values()].filter(({ key, speed }) => key.packId === packId && speed.samples > 0);
    const near = sampled.filter(({ key }) => key.recorderId === camera.recorderId);
    return meanOf((near.length > 0 ? near : sampled).map(({ speed }) => speed));
  }

  /** How many cameras of a recorder have been measured. */
  sampledOf(recorderId: string, packId: string): number {
    return [...this.speeds.values()].filter(({ key, speed }) => key.recorderId === recorderId && key.packId === packId && speed.samples > 0)
      .length;
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const changed = [...this.speeds.values()].filter((entry) => entry.changed).slice(0, 100);
    if (changed.length === 0) return;
    inTransaction(this.db, () => {
      for (const { key, speed } of changed) this.store.save(key, speed, this.clock.now());
    });
    for (const entry of changed) entry.changed = false;
  }

  private learn(key: SpeedKey, seen: Partial<CameraSpeed>): void {
    const entry = this.speeds.get(keyOf(key)) ?? { key, speed: { ...guess }, changed: true };
    const { speed } = entry;
    // The first sample replaces the guess.
    const fresh = speed.samples === 0;
    for (const name of ['downloadMsPerS', 'indexMsPerS', 'bytesPerS', 'footageShare'] as const) {
      const value = seen[name];
      if (value !== undefined && Number.isFinite(value)) speed[name] = fresh ? value : speed[name] + weight * (value - speed[name]);
    }
    speed.samples += seen.samples ?? 0;
    entry.changed = true;
    this.speeds.set(keyOf(key), entry);
    this.timer ??= setTimeout(() => {
      try {
        this.flush();
      } catch {
        // A full disk: tried again with the next measurement.
      }
    }, saveEveryMs).unref();
  }
}

const keyOf = (key: SpeedKey): string => `${key.recorderId}/${key.channel}/${key.packId}`;

function meanOf(speeds: readonly CameraSpeed[]): CameraSpeed {
  if (speeds.length === 0) return guess;
  const mean = (pick: (s: CameraSpeed) => number) => speeds.reduce((sum, s) => sum + pick(s), 0) / speeds.length;
  return {
    downloadMsPerS: mean((s) => s.downloadMsPerS),
    indexMsPerS: mean((s) => s.indexMsPerS),
    bytesPerS: mean((s) => s.bytesPerS),
    footageShare: mean((s) => s.footageShare),
    samples: 0,
  };
}

/**
 * Divides time among what runs at once: two calls side by side for a second cost half a second each, so that
 * the costs of all calls add up to the time the box was busy.
 */
class SharedTime {
  private running = 0;
  private credit = 0;
  private last = 0;

  start(): () => number {
    this.advance();
    const from = this.credit;
    this.running += 1;
    return () => {
      this.advance();
      this.running -= 1;
      return this.credit - from;
    };
  }

  private advance(): void {
    const now = performance.now();
    if (this.running > 0) this.credit += (now - this.last) / this.running;
    this.last = now;
  }
}

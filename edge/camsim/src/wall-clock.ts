import { zoneOffsetMs } from '@dipper/platform';
import type { Faults } from './faults';

const two = (n: number): string => String(n).padStart(2, '0');

/** The recorder's own clock: a time zone, perhaps a wrong one, and an error of so many milliseconds. */
export class WallClock {
  constructor(
    readonly zone: string,
    readonly skewMs: number,
    readonly now: () => number,
    private readonly faults: () => Faults,
  ) {
    zoneOffsetMs(zone, 0);
  }

  private offset(utcMs: number): number {
    if (!this.faults().ignoresDst) return zoneOffsetMs(this.zone, utcMs);
    const year = new Date(utcMs).getUTCFullYear();
    return Math.min(zoneOffsetMs(this.zone, Date.UTC(year, 0, 1)), zoneOffsetMs(this.zone, Date.UTC(year, 6, 1)));
  }

  /** What the clock on the recorder showed at a moment, written as if it were UTC. */
  wall(utcMs: number): number {
    return utcMs + this.offset(utcMs) + this.skewMs;
  }

  /** The digits this recorder writes for a moment in listings. */
  label(utcMs: number): number {
    return this.faults().zMeans === 'utc' ? utcMs + this.skewMs : this.wall(utcMs);
  }

  /** A moment that has this label; of two, the earlier. */
  fromLabel(label: number): number {
    if (this.faults().zMeans === 'utc') return label - this.skewMs;
    const digits = label - this.skewMs;
    const early = digits - this.offset(digits - 12 * 3_600_000);
    const late = digits - this.offset(digits + 12 * 3_600_000);
    return this.offset(early) === digits - early ? early : late;
  }

  private static readonly iso = (ms: number): string => new Date(ms).toISOString().slice(0, 19);

  /** `2026-08-28T13:05:59Z`, or with a numeric offset where the firmware does that. */
  listed(utcMs: number): string {
    const { numericOffsets } = this.faults();
    if (!numericOffsets) return `${WallClock.iso(this.label(utcMs))}Z`;
    return WallClock.iso(this.wall(utcMs)) + suffix(this.offset(utcMs));
  }

  /** `20260828T130559Z` */
  compact(utcMs: number): string {
    return `${WallClock.iso(this.label(utcMs)).replace(/[-:]/g, '')}Z`;
  }

  /** As `System/time` says it. */
  localTime(): string {
    const now = this.now();
    const { declaredOffset } = this.faults();
    const digits = WallClock.iso(this.wall(now));
    if (declaredOffset === 'none') return digits;
    return digits + suffix(this.offset(now) + (declaredOffset === 'wrong' ? 3_600_000 : 0));
  }

  /** POSIX, so the sign is the other way round: `CST-8:00:00` is UTC+8. */
  posixZone(): string {
    const year = new Date(this.now()).getUTCFullYear();
    const winter = zoneOffsetMs(this.zone, Date.UTC(year, 0, 1));
    const summer = zoneOffsetMs(this.zone, Date.UTC(year, 6, 1));
    const base = Math.min(winter, summer);
    const minutes = Math.abs(base) / 60_000;
    const zone = `CST${base >= 0 ? '-' : '+'}${Math.floor(minutes / 60)}:${two(minutes % 60)}:00`;
    return winter === summer || this.faults().ignoresDst ? zone : `${zone}DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00`;
  }
}

function suffix(offsetMs: number): string {
  const minutes = Math.abs(offsetMs) / 60_000;
  return `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

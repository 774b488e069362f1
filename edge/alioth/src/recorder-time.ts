import { zoneOffsetMs } from '@dipper/platform';

/** A time as a recorder wrote it: the digits as if they were UTC, and the offset after them where it is a number. */
export interface Written {
  readonly digits: number;
  readonly offsetMs: number | undefined;
}

/** `2026-08-28T13:05:59-03:00`, with `Z`, an offset, or neither; also the compact form of addresses. Undefined when it is no time. */
export function readWritten(text: string): Written | undefined {
  const m = /^(\d{4})-?(\d\d)-?(\d\d)T(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):?(\d\d))?$/.exec(text.trim());
  if (!m) return undefined;
  const [, year, month, day, hour, minute, second, sign, offsetHours, offsetMinutes] = m;
  const digits = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  if (!Number.isFinite(digits)) return undefined;
  return { digits, offsetMs: sign ? (sign === '-' ? -1 : 1) * (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000 : undefined };
}

export interface ClockReading {
  /** `localTime` of the recorder. */
  readonly local: Written;
  /** Its POSIX `timeZone`, where it gives one. */
  readonly posixZone: string | undefined;
  /** Our clock in the middle of the question and the answer, Unix ms. */
  readonly atMs: number;
}

/** How a recorder's labels and real time hang together. Plain data, so that two readings can be compared. */
export interface RecorderTime {
  /** local: labels are wall-clock digits; utc: they are UTC. */
  readonly mode: 'local' | 'utc';
  readonly zone: string;
  /** The wall clock minus UTC, where it does not follow the zone's daylight saving; undefined where it does. */
  readonly fixedOffsetMs: number | undefined;
  /** How far the recorder's clock is ahead of ours, in whole seconds. */
  readonly skewMs: number;
}

/** Times have a resolution of one second and pass a network: smaller differences are noise, and must not move footage about. */
const NOISE_MS = 2000;
const HALF_HOUR_MS = 1_800_000;

const settle = (ms: number, before: number | undefined): number => {
  if (before !== undefined && Math.abs(ms - before) < NOISE_MS) return before;
  return Math.abs(ms) < NOISE_MS ? 0 : Math.round(ms / 1000) * 1000;
};

/**
 * What a reading says. The digits of the wall clock are believed; the offset written after them is not (some
 * firmware leaves daylight saving out of it). `before` is the last result for the same recorder.
 */
export function timeFrom(
  { local, posixZone, atMs }: ClockReading,
  zone: string,
  mode: 'local' | 'utc',
  before?: RecorderTime,
): RecorderTime {
  const wallMinusUtc = local.digits + 500 - atMs;
  const behindZone = wallMinusUtc - zoneOffsetMs(zone, atMs);
  const year = new Date(atMs).getUTCFullYear();
  const standard = Math.min(zoneOffsetMs(zone, Date.UTC(year, 0, 1)), zoneOffsetMs(zone, Date.UTC(year, 6, 1)));
  const zoneChanges = zoneOffsetMs(zone, Date.UTC(year, 0, 1)) !== zoneOffsetMs(zone, Date.UTC(year, 6, 1));
  const isFixed =
    zoneChanges &&
    ((posixZone !== undefined && !/DST/i.test(posixZone)) || Math.abs(Math.abs(behindZone) - 2 * HALF_HOUR_MS) < HALF_HOUR_MS / 3);
  const skewBefore = before?.mode === mode && (before.fixedOffsetMs !== undefined) === isFixed ? before.skewMs : undefined;
  if (mode === 'utc') {
    const declared =
      local.offsetMs === undefined
        ? behindZone - Math.round(behindZone / (HALF_HOUR_MS / 2)) * (HALF_HOUR_MS / 2)
        : wallMinusUtc - local.offsetMs;
    // An offset that is off by whole hours is a wrong declaration; the clock itself is not that wrong.
    const plausible = Math.abs(declared) < HALF_HOUR_MS ? declared : behindZone;
    return { mode, zone, fixedOffsetMs: undefined, skewMs: settle(plausible, skewBefore) };
  }
  if (!isFixed) return { mode, zone, fixedOffsetMs: undefined, skewMs: settle(behindZone, skewBefore) };
  return { mode, zone, fixedOffsetMs: standard, skewMs: settle(wallMinusUtc - standard, skewBefore) };
}

const offsetAt = (time: RecorderTime, utcMs: number): number =>
  time.mode === 'utc' ? 0 : (time.fixedOffsetMs ?? zoneOffsetMs(time.zone, utcMs));

/** How far the wall clock is from what it should show in its zone now: 0 when it is right. */
export const clockErrorMs = (time: RecorderTime, atMs: number): number =>
  time.mode === 'utc' || time.fixedOffsetMs === undefined ? time.skewMs : time.skewMs + time.fixedOffsetMs - zoneOffsetMs(time.zone, atMs);

/** The digits the recorder would write for a moment. */
export const labelOf = (time: RecorderTime, utcMs: number): number => utcMs + offsetAt(time, utcMs) + time.skewMs;

/**
 * The moment a recorder means. In the hour that clocks repeat there are two: the one nearest to `near` that is not
 * before `notBefore` (footage is listed in order, so the segment before decides), or else the earlier.
 */
export function momentOf(
  time: RecorderTime,
  { digits, offsetMs }: Written,
  context?: { readonly notBefore: number; readonly near: number },
): number {
  if (offsetMs !== undefined) return digits - offsetMs - time.skewMs;
  const wall = digits - time.skewMs;
  const halfDay = 12 * 3_600_000;
  const [early, late] = [wall - offsetAt(time, wall - halfDay), wall - offsetAt(time, wall + halfDay)].sort((a, b) => a - b) as [
    number,
    number,
  ];
  const real = [early, late].filter((utc) => labelOf(time, utc) === digits);
  if (!context) return real[0] ?? early;
  const distance = (utc: number): number => (utc < context.notBefore ? Number.POSITIVE_INFINITY : Math.abs(utc - context.near));
  return real.sort((a, b) => distance(a) - distance(b) || b - a)[0] ?? late;
}

/**
 * A window of labels, in whole seconds, that holds every label of [fromMs, toMs). Around a change of the clocks it
 * begins some hours early, so that what comes before tells the two passes of the repeated hour apart.
 */
export function labelWindow(time: RecorderTime, fromMs: number, toMs: number): { from: number; to: number } {
  const lead = 3 * 3_600_000;
  const changes =
    offsetAt(time, fromMs - lead) !== offsetAt(time, fromMs + lead) || offsetAt(time, toMs - lead) !== offsetAt(time, toMs + lead);
  if (!changes) return { from: Math.floor(labelOf(time, fromMs) / 1000) * 1000, to: Math.ceil(labelOf(time, toMs) / 1000) * 1000 };
  const offsets = [fromMs - lead, fromMs, fromMs + lead, toMs - lead, toMs, toMs + lead].map((at) => offsetAt(time, at));
  return {
    from: Math.floor((fromMs - lead + Math.min(...offsets) + time.skewMs) / 1000) * 1000,
    to: Math.ceil((toMs + Math.max(...offsets) + time.skewMs) / 1000) * 1000,
  };
}

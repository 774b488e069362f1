const formats = new Map<string, Intl.DateTimeFormat>();
const known = new Map<string, number>();
/** Zones change their offset on quarters of an hour, never in between. */
const QUARTER_MS = 15 * 60_000;

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(zone, format);
  }
  return format;
}

/**
 * Wall clock minus UTC of an IANA zone at a moment, in milliseconds, daylight saving included.
 * Throws RangeError for a zone nobody knows.
 */
export function zoneOffsetMs(zone: string, utcMs: number): number {
  const quarter = Math.floor(utcMs / QUARTER_MS) * QUARTER_MS;
  const key = `${zone} ${quarter}`;
  const cached = known.get(key);
  if (cached !== undefined) return cached;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(quarter)) if (type !== 'literal') parts[type] = Number(value);
  const wall = Date.UTC(parts.year ?? 0, (parts.month ?? 1) - 1, parts.day, parts.hour, parts.minute, parts.second);
  // Formatting takes some 2 us; a listing of a year asks for the same quarters again and again.
  if (known.size > 20_000) known.clear();
  known.set(key, wall - quarter);
  return wall - quarter;
}

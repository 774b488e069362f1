import { clockErrorMs, labelOf, momentOf, readWritten, timeFrom } from './recorder-time';

const read = (text: string) => {
  const written = readWritten(text);
  if (!written) throw new Error(text);
  return written;
};
const at = Date.UTC(2026, 6, 1, 10, 0, 0, 400);

describe('the time of a recorder', () => {
  it('reads what recorders write and nothing else', () => {
    expect(read('2026-08-28T13:05:59-03:00')).toEqual({ digits: Date.UTC(2026, 7, 28, 13, 5, 59), offsetMs: -3 * 3_600_000 });
    expect(read('20210818T151815Z')).toEqual({ digits: Date.UTC(2021, 7, 18, 15, 18, 15), offsetMs: undefined });
    for (const bad of ['', 'now', '2026-08-28', '2026-08-28T13:05', '1e400']) expect(readWritten(bad)).toBeUndefined();
  });

  it('takes the digits of the wall clock, whatever offset is written after them', () => {
    for (const suffix of ['+08:00', '+09:00', '', 'Z']) {
      const time = timeFrom({ local: read(`2026-07-01T18:00:00${suffix}`), posixZone: 'CST-8:00:00', atMs: at }, 'Asia/Shanghai', 'local');
      expect(time).toMatchObject({ skewMs: 0, fixedOffsetMs: undefined });
      expect(momentOf(time, read('2026-07-01T18:00:00Z'))).toBe(Date.UTC(2026, 6, 1, 10));
    }
  });

  it('does not move footage about when the clock only seems to tremble', () => {
    const reading = (second: string, ms: number) => ({ local: read(`2026-07-01T18:01:${second}`), posixZone: undefined, atMs: at + ms });
    const first = timeFrom(reading('35', 0), 'Asia/Shanghai', 'local');
    expect(first.skewMs).toBe(95_000);
    expect(timeFrom(reading('36', 0), 'Asia/Shanghai', 'local', first)).toEqual(first);
    expect(timeFrom(reading('40', 0), 'Asia/Shanghai', 'local', first).skewMs).toBe(100_000);
  });

  it('tells a clock that leaves out daylight saving from one that is wrong', () => {
    const time = timeFrom({ local: read('2026-07-01T11:00:00+01:00'), posixZone: 'CST-1:00:00', atMs: at }, 'Europe/Berlin', 'local');
    expect(time).toMatchObject({ fixedOffsetMs: 3_600_000, skewMs: 0 });
    expect(clockErrorMs(time, at)).toBe(-3_600_000);
    expect(labelOf(time, Date.UTC(2026, 0, 1))).toBe(Date.UTC(2026, 0, 1, 1));
    expect(labelOf(time, at)).toBe(at + 3_600_000);
    const follows = timeFrom(
      { local: read('2026-07-01T12:00:00'), posixZone: 'CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00', atMs: at },
      'Europe/Berlin',
      'local',
    );
    expect(labelOf(follows, Date.UTC(2026, 0, 1))).toBe(Date.UTC(2026, 0, 1, 1));
    expect(labelOf(follows, at)).toBe(at + 7_200_000);
  });

  it('keeps a wrong zone out of labels that are UTC', () => {
    const time = timeFrom({ local: read('2026-07-01T17:00:30+07:00'), posixZone: 'CST-7:00:00', atMs: at }, 'Asia/Shanghai', 'utc');
    expect(time.skewMs).toBe(30_000);
    expect(momentOf(time, read('2026-07-01T10:00:30Z'))).toBe(Date.UTC(2026, 6, 1, 10));
  });
});

import { zoneOffsetMs } from './zone';

describe('zoneOffsetMs', () => {
  it('knows zones with and without daylight saving, on both sides of a change', () => {
    const hour = 3_600_000;
    expect(zoneOffsetMs('Asia/Shanghai', Date.UTC(2026, 6, 1))).toBe(8 * hour);
    expect(zoneOffsetMs('Europe/Berlin', Date.UTC(2026, 2, 29, 0, 59, 59))).toBe(hour);
    expect(zoneOffsetMs('Europe/Berlin', Date.UTC(2026, 2, 29, 1))).toBe(2 * hour);
    expect(zoneOffsetMs('America/St_Johns', Date.UTC(2026, 0, 1))).toBe(-3.5 * hour);
    expect(() => zoneOffsetMs('Mars/Olympus', 0)).toThrow(RangeError);
  });
});

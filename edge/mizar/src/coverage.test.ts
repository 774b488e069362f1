import { keyframesSuffice } from './decode/decode-frames';
import { PacketClock } from './decode/packet-clock';
import type { ProbedSegment } from './decode/probe-segment';
import { coveredSpan } from './index-segment';

const every = (ms: number, until: number): number[] => Array.from({ length: Math.ceil(until / ms) }, (_, i) => 1000 + i * ms);
const asked = { fromMs: 1000, toMs: 61_000 };

describe('what is claimed as covered', () => {
  test('a whole minute with a frame each second', () => {
    expect(coveredSpan(asked, 60_000, every(1000, 60_000))).toEqual({ fromMs: 1000, toMs: 61_000, samplingMs: 1000 });
  });
  test('the recorder named whole seconds and the file ends 40 ms early', () => {
    expect(coveredSpan(asked, 59_960, every(2000, 60_000))).toMatchObject({ toMs: 61_000 });
  });
  test('a truncated file is covered to its end and no further', () => {
    expect(coveredSpan(asked, 31_480, every(1000, 31_480))).toMatchObject({ fromMs: 1000, toMs: 32_480 });
  });
  test('what comes before the first frame that could be decoded is not claimed', () => {
    expect(coveredSpan(asked, 60_000, [9000, 10_000])).toMatchObject({ fromMs: 9000 });
  });
  test('a hole in the middle shows as sampling', () => {
    expect(coveredSpan(asked, 60_000, [1000, 2000, 30_000, 60_000]).samplingMs).toBe(30_000);
  });
  test('no frame, nothing claimed', () => {
    const { fromMs, toMs } = coveredSpan(asked, 60_000, []);
    expect(fromMs).toBe(toMs);
  });
});

describe('the packets of a file', () => {
  const clockOf = (packets: Record<string, string>[]) => {
    const clock = new PacketClock();
    for (const p of packets) clock.packet(p);
    return clock.times('1/1000', '25/1');
  };
  test('times start at the first packet wherever that is, and packets without a time are passed over', () => {
    const times = clockOf([
      { pts: '500040', flags: 'K__', duration: '40' },
      { pts: 'N/A', flags: '___' },
      { pts: '500080', flags: '___', duration: '40' },
      { pts: '504040', flags: 'K__', duration: '40' },
    ]);
    expect(times).toEqual({ originUs: 500_040_000, durationMs: 4040, keyframeGapMs: 4000, frameMs: 40, keyframes: 2 });
  });
  test('keyframes are enough at 2.04 s, not at 10 s, and not when only the first is one', () => {
    const gap = (keyframeGapMs: number) => keyframesSuffice({ keyframes: 5, keyframeGapMs } as ProbedSegment);
    expect([gap(1000), gap(2040), gap(10_000)]).toEqual([true, true, false]);
    expect(
      clockOf([
        { pts: '0', flags: 'K__' },
        { pts: '60000', flags: '___' },
      ]).keyframeGapMs,
    ).toBe(60_000);
  });
  test('no packet with a time is a corrupt segment', () => {
    expect(() => clockOf([])).toThrow('segment.corrupt');
    expect(() => clockOf([{ pts: 'N/A' }])).toThrow('segment.corrupt');
  });
});

import { startAndReportS } from './start-and-report';

const took = (tookS: number, ...expected: (number | undefined)[]) => ({
  tookS,
  edges: expected.map((expectedSeconds) => ({ answered: expectedSeconds !== undefined, expectedSeconds: expectedSeconds ?? 0 })),
});

it.each([
  ['nothing, a second is taken', [], 1],
  ['one search, what its slowest box did not expect', [took(5, 0.5, 2)], 3],
  ['several, the middle one', [took(1, 0.5), took(9, 1), took(4, 2)], 2],
  ['a search that was quicker than thought, nothing', [took(1, 2)], 0],
  ['a box that did not say, nothing of that search', [took(90, 1, undefined), took(3, 1)], 2],
  ['a box that came back after an hour, no more than half a minute', [took(3_600, 1)], 30],
] as const)('learned from %s', (_, finished, seconds) => {
  expect(startAndReportS(finished)).toBe(seconds);
});

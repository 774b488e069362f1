import { expectedLength } from './length';

it.each([
  [0, 0],
  [9.99, 0],
  [10, 10],
  [10.4, 20],
  [60, 60],
  [61, 120],
  [3_600, 3_600],
  [3_601, 4_200],
  [86_400, 86_400],
])('of %s s no more is said than is known', (seconds, said) => {
  expect(expectedLength(seconds)).toBe(said);
});

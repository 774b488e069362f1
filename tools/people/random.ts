/** Numbers drawn from a seed: the same seed gives the same people on every machine. */
export interface Draw {
  /** 0 to 1, evenly. */
  (): number;
  between(low: number, high: number): number;
  /** Around `mean`; never further than 2.5 deviations, so that no face falls apart. */
  near(mean: number, deviation: number): number;
  chance(share: number): boolean;
  of<T>(choices: readonly T[]): T;
  /** A whole number from 0 to `below` - 1. */
  whole(below: number): number;
}

/** Splitmix32: seeds that follow each other give numbers that do not. */
export function drawFrom(seed: number): Draw {
  let state = (Math.imul(seed ^ 0x5bf03635, 0x9e3779b1) ^ 0x2545f491) | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let t = state ^ (state >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return ((t ^ (t >>> 15)) >>> 0) / 4294967296;
  };
  for (let i = 0; i < 4; i++) next();
  const between = (low: number, high: number): number => low + (high - low) * next();
  const whole = (below: number): number => Math.min(below - 1, Math.floor(next() * below));
  return Object.assign(next, {
    between,
    whole,
    near: (mean: number, deviation: number): number => {
      // Box and Muller's normal numbers.
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      return mean + deviation * Math.max(-2.5, Math.min(2.5, normal));
    },
    chance: (share: number): boolean => next() < share,
    of: <T>(choices: readonly T[]): T => choices[whole(choices.length)] as T,
  });
}

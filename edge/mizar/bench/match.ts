/**
 * An exact match of one query against a million embeddings beside the least that must be done for it: a pass over the
 * same memory, by the same 128-bit instructions in the same thread, that only sums. After a build:
 *
 *   node edge/mizar/bench/match.ts
 *
 * The two take turns, and the ratio is the median of each turn's: what else the machine does hits both alike.
 */
import { cpus } from 'node:os';
import { bestMatches, VectorBlock } from '../dist/match/best-matches.js';
import {
  addFloats,
  advance,
  branchIf,
  compileKernel,
  fourZeros,
  get,
  type KernelMemory,
  lane,
  lessUnsigned,
  load,
  loop,
  set,
  storeFloat,
} from '../dist/match/wasm-assembly.js';

const [rows, dimension, rounds] = [1_000_000, 128, 41];
const bytes = rows * dimension * 4;
const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!;
const least = (all: readonly number[]): number => Math.min(...all);

/** sum(from, to, answer): eight sums of four at once, 128 bytes a turn; more of either reads no faster. */
function summingPass(memory: KernelMemory): (from: number, to: number, answer: number) => void {
  const [FROM, TO, ANSWER, SUM] = [0, 1, 2, 4];
  const sums = [0, 1, 2, 3, 4, 5, 6, 7];
  const pass = loop([
    ...sums.flatMap((k) => [...get(SUM + k), ...get(FROM), ...load(16 * k), ...addFloats, ...set(SUM + k)]),
    ...[...advance(FROM, 128), ...get(FROM), ...get(TO), ...lessUnsigned, ...branchIf(0)],
  ]);
  // One of four totals is stored, so that none of it can be left out.
  const total = [...get(SUM), ...sums.slice(1).flatMap((k) => [...get(SUM + k), ...addFloats])];
  return compileKernel({
    parameters: 3,
    integers: 1,
    vectors: 8,
    body: [...sums.flatMap((k) => [...fourZeros, ...set(SUM + k)]), ...pass, ...get(ANSWER), ...total, ...lane(0), ...storeFloat],
  })(memory);
}

const time = (work: () => unknown): number => {
  const began = performance.now();
  work();
  return performance.now() - began;
};

/** Unit vectors in no direction in particular; the same every time. */
function fill(vectors: Float32Array): void {
  let state = 1;
  for (let row = 0; row < rows; row++) {
    const vector = vectors.subarray(row * dimension, (row + 1) * dimension);
    let length = 0;
    for (let i = 0; i < dimension; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      vector[i] = state / 2 ** 32 - 0.5;
      length += vector[i]! ** 2;
    }
    for (let i = 0; i < dimension; i++) vector[i]! /= Math.sqrt(length);
  }
}

const block = new VectorBlock(dimension, rows + 1);
fill(block.vectors);
const embeddings = block.vectors.slice(500_000 * dimension, 500_001 * dimension);
const queries = [{ personId: 'somebody', embeddings }];
// The block's spare last row holds the pass's answer.
const sum = summingPass(block.memory);
const copy = new Float32Array(rows * dimension);
const stored = block.vectors.subarray(0, rows * dimension);

let found = 0;
const match = () => {
  found = bestMatches(block, rows, queries, 0.5).length;
};
const pass = () => sum(0, bytes, bytes);
for (const warmUp of [match, pass]) warmUp();
const turns = Array.from({ length: rounds }, (_, turn) => {
  // Who goes first changes, in case what went before matters.
  const first = turn % 2 === 0 ? time(match) : undefined;
  const passMs = time(pass);
  return { matchMs: first ?? time(match), passMs, copyMs: time(() => copy.set(stored)) };
});
if (found !== 1) throw new Error(`${found} matches where one is stored`);

const figure = (name: string, text: string): void => console.log(`${name.padEnd(58)} ${text}`);
const [matches, passes, copies] = [turns.map((t) => t.matchMs), turns.map((t) => t.passMs), turns.map((t) => t.copyMs)];
const both = (all: readonly number[]): string => `${median(all).toFixed(1)} ms (at best ${least(all).toFixed(1)})`;
const gigabytes = (ms: number, passed = bytes): string => `${(passed / ms / 1e6).toFixed(1)} GB/s`;
console.log(`${cpus()[0]?.model}, one thread, ${rounds} turns; medians`);
figure('exact match of 1 query, 1,000,000 x 128, with its selection', both(matches));
figure('one pass over that memory that only sums', both(passes));
figure('memory read by that pass', `${gigabytes(median(passes))} (at best ${gigabytes(least(passes))})`);
figure(
  'memory read and written by a copy of it',
  `${gigabytes(median(copies), 2 * bytes)} (at best ${gigabytes(least(copies), 2 * bytes)})`,
);
figure('pass / match (target 0.7)', median(turns.map((t) => t.passMs / t.matchMs)).toFixed(2));

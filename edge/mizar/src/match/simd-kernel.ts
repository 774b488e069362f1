import {
  add,
  addFloat,
  addFloats,
  advance,
  block,
  branch,
  branchIf,
  compileKernel,
  constant,
  fourZeros,
  get,
  isZero,
  type KernelMemory,
  lane,
  lessUnsigned,
  load,
  loop,
  mulFloats,
  set,
  storeFloat,
  sub,
} from './wasm-assembly';

/**
 * Dot products with WebAssembly's 128-bit vectors, nearly as fast as the memory can be read: plain JavaScript takes
 * 400 ms for a million of 128, this some 25. Two or four rows at a time, to load the query less often, took three times
 * as long on an AMD EPYC, probably because it reads ahead along one stream and not along several that are a row apart.
 */
const [VECTORS, ROWS, BYTES, QUERY, SCORES, END, AT, SUM] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Four sums of four: the additions of one would each wait for the one before. */
const sums = [0, 1, 2, 3];
const multiplyRow = loop([
  ...sums.flatMap((k) => [
    ...[...get(SUM + k), ...get(VECTORS), ...load(16 * k), ...get(AT), ...load(16 * k)],
    ...[...mulFloats, ...addFloats, ...set(SUM + k)],
  ]),
  ...[...advance(VECTORS, 64), ...advance(AT, 64)],
  ...[...get(VECTORS), ...get(END), ...lessUnsigned, ...branchIf(0)],
]);
const addUp = [
  ...[...get(SUM), ...get(SUM + 1), ...addFloats, ...get(SUM + 2), ...get(SUM + 3), ...addFloats, ...addFloats, ...set(SUM)],
  ...[...get(SUM), ...lane(0), ...get(SUM), ...lane(1), ...addFloat],
  ...[...get(SUM), ...lane(2), ...addFloat, ...get(SUM), ...lane(3), ...addFloat],
];
const body = block(
  loop([
    ...[...get(ROWS), ...isZero, ...branchIf(1)],
    ...[...get(VECTORS), ...get(BYTES), ...add, ...set(END)],
    ...[...get(QUERY), ...set(AT)],
    ...sums.flatMap((k) => [...fourZeros, ...set(SUM + k)]),
    ...multiplyRow,
    ...[...get(SCORES), ...addUp, ...storeFloat],
    ...[...advance(SCORES, 4), ...get(ROWS), ...constant(1), ...sub, ...set(ROWS)],
    ...branch(0),
  ]),
);

/** Writes the dot product of `query` with each of so many rows to `scores`. Addresses in the memory; `bytesPerVector` a multiple of 64. */
export type CosineKernel = (vectors: number, rows: number, bytesPerVector: number, query: number, scores: number) => void;

let compiled: ((memory: KernelMemory) => CosineKernel) | undefined;

/** The kernel over one memory. */
export function openKernel(memory: KernelMemory): CosineKernel {
  compiled ??= compileKernel({ parameters: 5, integers: 2, vectors: 4, body });
  return compiled(memory);
}

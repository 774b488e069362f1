/**
 * Dot products with WebAssembly's 128-bit vectors, assembled by hand: it is one loop in a loop, and a compiler in the
 * toolchain for that would be the heavier part. Plain JavaScript takes 400 ms for a million of 128, this about as
 * long as it takes to read the memory.
 *
 *   cosines(vectors, rows, bytesPerVector, query, scores)   addresses in the memory; bytesPerVector a multiple of 64
 */
const [VECTORS, ROWS, BYTES, QUERY, SCORES, END, AT, SUM] = [0, 1, 2, 3, 4, 5, 6, 7];
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const constant = (value: number): number[] => (value < 64 ? [0x41, value] : [0x41, (value & 0x7f) | 0x80, value >> 7]);
const load = (offset: number): number[] => [0xfd, 0x00, 2, offset];
const [add, sub, lessUnsigned, isZero] = [0x6a, 0x6b, 0x49, 0x45];
const [addFloats, mulFloats, addFloat] = [[0xfd, 0xe4, 0x01], [0xfd, 0xe6, 0x01], 0x92];
const lane = (index: number): number[] => [...get(SUM), 0xfd, 0x1f, index];
const [block, loop, end] = [[0x02, 0x40], [0x03, 0x40], 0x0b];
const advance = (local: number, by: number): number[] => [...get(local), ...constant(by), add, ...set(local)];

/** Four sums of four: the additions of one would each wait for the one before. */
const lanes = [0, 1, 2, 3];
const body = [
  ...block,
  ...loop,
  ...[...get(ROWS), isZero, 0x0d, 1],
  ...[...get(VECTORS), ...get(BYTES), add, ...set(END)],
  ...[...get(QUERY), ...set(AT)],
  ...lanes.flatMap((k) => [0xfd, 0x0c, ...new Array<number>(16).fill(0), ...set(SUM + k)]),
  ...loop,
  ...lanes.flatMap((k) => [
    ...get(SUM + k),
    ...get(VECTORS),
    ...load(16 * k),
    ...get(AT),
    ...load(16 * k),
    ...mulFloats,
    ...addFloats,
    ...set(SUM + k),
  ]),
  ...[...advance(VECTORS, 64), ...advance(AT, 64)],
  ...[...get(VECTORS), ...get(END), lessUnsigned, 0x0d, 0],
  end,
  ...[...get(SUM), ...get(SUM + 1), ...addFloats, ...get(SUM + 2), ...get(SUM + 3), ...addFloats, ...addFloats, ...set(SUM)],
  ...[...get(SCORES), ...lane(0), ...lane(1), addFloat, ...lane(2), addFloat, ...lane(3), addFloat, 0x38, 2, 0],
  ...[...advance(SCORES, 4), ...get(ROWS), ...constant(1), sub, ...set(ROWS)],
  ...[0x0c, 0],
  end,
  end,
];

/** A length as LEB128, and what it is the length of. */
const sized = (bytes: readonly number[]): number[] => {
  const length: number[] = [];
  for (let n = bytes.length; ; n >>= 7) {
    if (n < 128) return [...length, n, ...bytes];
    length.push((n & 0x7f) | 0x80);
  }
};
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const [I32, V128] = [0x7f, 0x7b];

const binary = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [1, 0x60, 5, I32, I32, I32, I32, I32, 0]),
  // Imports the memory "m" of module "e".
  ...section(2, [1, 1, 0x65, 1, 0x6d, 0x02, 0x00, 1]),
  ...section(3, [1, 0]),
  // Exports the function as "f".
  ...section(7, [1, 1, 0x66, 0x00, 0]),
  ...section(10, [1, ...sized([2, 2, I32, 4, V128, ...body, end])]),
]);

export type Kernel = (vectors: number, rows: number, bytesPerVector: number, query: number, scores: number) => void;

/** What of WebAssembly is used here: its types come with a browser's, which this project does not build for. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number }) => KernelMemory;
  readonly Module: new (binary: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, KernelMemory>>,
  ) => { readonly exports: Record<string, unknown> };
};

export interface KernelMemory {
  readonly buffer: ArrayBuffer;
}

const PAGE_BYTES = 65_536;

/** Memory of at least so many bytes, zeroed, that a kernel can work in. */
export const kernelMemory = (bytes: number): KernelMemory => new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });

let compiled: object | undefined;

/** The kernel over one memory. */
export function openKernel(memory: KernelMemory): Kernel {
  compiled ??= new WebAssembly.Module(binary);
  return new WebAssembly.Instance(compiled, { e: { m: memory } }).exports.f as Kernel;
}

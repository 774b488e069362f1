/**
 * As much of WebAssembly's binary format as a loop over vectors of floats takes. Assembled by hand: a compiler in the
 * toolchain for two loops would be the heavier part.
 */
export type Code = readonly number[];

export const get = (local: number): Code => [0x20, local];
export const set = (local: number): Code => [0x21, local];
/** 0 to 8191. */
export const constant = (value: number): Code => (value < 64 ? [0x41, value] : [0x41, (value & 0x7f) | 0x80, value >> 7]);
/** A local becomes larger by so much. */
export const advance = (local: number, by: number): Code => [...get(local), ...constant(by), ...add, ...set(local)];
export const [add, sub, lessUnsigned, isZero, addFloat]: readonly [Code, Code, Code, Code, Code] = [[0x6a], [0x6b], [0x49], [0x45], [0x92]];
/** Four floats at the address on the stack plus `offset`, which is under 128. */
export const load = (offset: number): Code => [0xfd, 0x00, 2, offset];
export const [addFloats, mulFloats]: readonly [Code, Code] = [
  [0xfd, 0xe4, 0x01],
  [0xfd, 0xe6, 0x01],
];
export const fourZeros: Code = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
/** One of the four floats on the stack. */
export const lane = (index: number): Code => [0xfd, 0x1f, index];
/** Stores the float on the stack at the address below it. */
export const storeFloat: Code = [0x38, 2, 0];
const end = 0x0b;
export const block = (body: Code): Code => [0x02, 0x40, ...body, end];
export const loop = (body: Code): Code => [0x03, 0x40, ...body, end];
/** Leaves (a block) or repeats (a loop) the `depth`th around it, 0 the innermost. */
export const branch = (depth: number): Code => [0x0c, depth];
export const branchIf = (depth: number): Code => [0x0d, depth];

/** A length as LEB128, and what it is the length of. */
const sized = (bytes: Code): Code => {
  const length: number[] = [];
  for (let n = bytes.length; ; n >>= 7) {
    if (n < 128) return [...length, n, ...bytes];
    length.push((n & 0x7f) | 0x80);
  }
};
const section = (id: number, bytes: Code): Code => [id, ...sized(bytes)];
const [I32, V128] = [0x7f, 0x7b];

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

/** One function over one memory: its parameters are whole numbers; after them come locals, whole numbers and then vectors of four floats. */
export interface Kernel {
  readonly parameters: number;
  readonly integers: number;
  readonly vectors: number;
  readonly body: Code;
}

/** Compiles a kernel; `open` gives it a memory to work in, as often as wanted. */
export function compileKernel({
  parameters,
  integers,
  vectors,
  body,
}: Kernel): (memory: KernelMemory) => (...parameters: number[]) => void {
  const module = new WebAssembly.Module(
    Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, [1, 0x60, parameters, ...new Array<number>(parameters).fill(I32), 0]),
      // Imports the memory "m" of module "e".
      ...section(2, [1, 1, 0x65, 1, 0x6d, 0x02, 0x00, 1]),
      ...section(3, [1, 0]),
      // Exports the function as "f".
      ...section(7, [1, 1, 0x66, 0x00, 0]),
      ...section(10, [1, ...sized([2, integers, I32, vectors, V128, ...body, end])]),
    ]),
  );
  return (memory) => new WebAssembly.Instance(module, { e: { m: memory } }).exports.f as (...parameters: number[]) => void;
}

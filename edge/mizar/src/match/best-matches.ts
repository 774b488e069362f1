import { type CosineKernel, openKernel } from './simd-kernel';
import { type KernelMemory, kernelMemory } from './wasm-assembly';

/** One person asked for: several embeddings, the best of them counts. */
export interface Query {
  readonly personId: string;
  /** Unit vectors of one dimension, one after the other; at least one. */
  readonly embeddings: Float32Array;
}

export interface RowMatch {
  readonly row: number;
  readonly personId: string;
  readonly score: number;
}

/** The kernel takes 16 numbers at a time. */
const STEP = 16;

/** A block of stored unit vectors, in memory where they can be compared; read into `vectors`, then ask. */
export class VectorBlock {
  /** Begins with the vectors. */
  readonly memory: KernelMemory;
  readonly vectors: Float32Array;
  private readonly query: Float32Array;
  private readonly scores: Float32Array;
  private readonly kernel: CosineKernel;

  constructor(
    readonly dimension: number,
    readonly maxRows: number,
  ) {
    const [vectorBytes, scoreBytes] = [dimension * maxRows * 4, maxRows * 4];
    const memory = kernelMemory(vectorBytes + dimension * 4 + scoreBytes);
    this.memory = memory;
    this.vectors = new Float32Array(memory.buffer, 0, dimension * maxRows);
    this.query = new Float32Array(memory.buffer, vectorBytes, dimension);
    this.scores = new Float32Array(memory.buffer, vectorBytes + dimension * 4, maxRows);
    this.kernel = openKernel(memory);
  }

  /** Cosines of the first `rows` with one unit query; good until the next call. */
  cosines(rows: number, query: Float32Array): Float32Array {
    if (query.length !== this.dimension) throw new RangeError(`${query.length} numbers in a query of ${this.dimension}`);
    this.query.set(query);
    if (this.dimension % STEP === 0) this.kernel(0, rows, this.dimension * 4, this.query.byteOffset, this.scores.byteOffset);
    else slowCosines(this.vectors, rows, query, this.scores);
    return this.scores;
  }
}

function slowCosines(vectors: Float32Array, rows: number, query: Float32Array, scores: Float32Array): void {
  const d = query.length;
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += vectors[r * d + i]! * query[i]!;
    scores[r] = sum;
  }
}

/**
 * Every row and person at or above the threshold, by row, then in the order of the queries; one entry for a row and
 * person, with the best of the person's embeddings. A stored zero vector (a face that could not be embedded), or one
 * with NaN, matches nobody, whatever the threshold.
 */
export function bestMatches(block: VectorBlock, rows: number, queries: readonly Query[], threshold: number): RowMatch[] {
  const matches: RowMatch[] = [];
  for (const { personId, embeddings } of queries) {
    const best = bestCosines(block, rows, embeddings);
    for (let row = 0; row < rows; row++) {
      const score = best[row]!;
      if (score >= threshold && (score !== 0 || !isZeroRow(block, row))) matches.push({ row, personId, score });
    }
  }
  // Stable: persons keep their order.
  return matches.sort((a, b) => a.row - b.row);
}

/** For each row its cosine with the nearest of the embeddings; good until the next call. */
function bestCosines(block: VectorBlock, rows: number, embeddings: Float32Array): Float32Array {
  const d = block.dimension;
  const first = block.cosines(rows, embeddings.subarray(0, d));
  if (embeddings.length === d) return first;
  const best = first.slice(0, rows);
  for (let at = d; at < embeddings.length; at += d) {
    const scores = block.cosines(rows, embeddings.subarray(at, at + d));
    for (let row = 0; row < rows; row++) if (scores[row]! > best[row]!) best[row] = scores[row]!;
  }
  return best;
}

const isZeroRow = ({ vectors, dimension }: VectorBlock, row: number): boolean =>
  vectors.subarray(row * dimension, (row + 1) * dimension).every((v) => v === 0);

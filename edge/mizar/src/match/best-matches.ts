import { type Kernel, kernelMemory, openKernel } from './simd-kernel';

/** One person asked for: several embeddings, the best of them counts. */
export interface Query {
  readonly personId: string;
  /** Unit vectors of one dimension, one after the other. */
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
  readonly vectors: Float32Array;
  private readonly query: Float32Array;
  private readonly scores: Float32Array;
  private readonly kernel: Kernel;

  constructor(
    readonly dimension: number,
    readonly maxRows: number,
  ) {
    const [vectorBytes, scoreBytes] = [dimension * maxRows * 4, maxRows * 4];
    const memory = kernelMemory(vectorBytes + dimension * 4 + scoreBytes);
    this.vectors = new Float32Array(memory.buffer, 0, dimension * maxRows);
    this.query = new Float32Array(memory.buffer, vectorBytes, dimension);
    this.scores = new Float32Array(memory.buffer, vectorBytes + dimension * 4, maxRows);
    this.kernel = openKernel(memory);
  }

  /** Cosines of the first `rows` with one unit query; good until the next call. */
  cosines(rows: number, query: Float32Array): Float32Array {
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

/** Every row and person at or above the threshold, by row; one entry for a row and person, with the best of the person's embeddings. */
export function bestMatches(block: VectorBlock, rows: number, queries: readonly Query[], threshold: number): RowMatch[] {
  const d = block.dimension;
  const matches: RowMatch[] = [];
  for (const { personId, embeddings } of queries) {
    const best = new Map<number, number>();
    for (let at = 0; at + d <= embeddings.length; at += d) {
      const scores = block.cosines(rows, embeddings.subarray(at, at + d));
      for (let row = 0; row < rows; row++) {
        const score = scores[row]!;
        if (score >= threshold && score > (best.get(row) ?? Number.NEGATIVE_INFINITY)) best.set(row, score);
      }
    }
    for (const [row, score] of best) matches.push({ row, personId, score });
  }
  return matches.sort((a, b) => a.row - b.row);
}

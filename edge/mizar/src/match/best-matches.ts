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

/**
 * Cosines of `rows` stored unit vectors with one unit query, into `scores`. Eight running sums: the additions of one
 * would each wait for the one before. Rows outermost in memory order, so that memory is passed over once.
 */
export function cosines(vectors: Float32Array, rows: number, query: Float32Array, scores: Float32Array): void {
  const d = query.length;
  const whole = d - (d % 8);
  for (let r = 0, at = 0; r < rows; r++, at += d) {
    let [a, b, c, e, f, g, h, k] = [0, 0, 0, 0, 0, 0, 0, 0];
    let i = 0;
    for (; i < whole; i += 8) {
      a += vectors[at + i]! * query[i]!;
      b += vectors[at + i + 1]! * query[i + 1]!;
      c += vectors[at + i + 2]! * query[i + 2]!;
      e += vectors[at + i + 3]! * query[i + 3]!;
      f += vectors[at + i + 4]! * query[i + 4]!;
      g += vectors[at + i + 5]! * query[i + 5]!;
      h += vectors[at + i + 6]! * query[i + 6]!;
      k += vectors[at + i + 7]! * query[i + 7]!;
    }
    for (; i < d; i++) a += vectors[at + i]! * query[i]!;
    scores[r] = a + b + c + e + (f + g + h + k);
  }
}

/** Every row and person at or above the threshold, by row; one entry for a row and person, with the best of the person's embeddings. */
export function bestMatches(vectors: Float32Array, dimension: number, queries: readonly Query[], threshold: number): RowMatch[] {
  const rows = Math.floor(vectors.length / dimension);
  const scores = new Float32Array(rows);
  const best = new Float32Array(rows);
  const matches: RowMatch[] = [];
  for (const { personId, embeddings } of queries) {
    best.fill(Number.NEGATIVE_INFINITY);
    for (let at = 0; at + dimension <= embeddings.length; at += dimension) {
      cosines(vectors, rows, embeddings.subarray(at, at + dimension), scores);
      for (let r = 0; r < rows; r++) if (scores[r]! > best[r]!) best[r] = scores[r]!;
    }
    for (let row = 0; row < rows; row++) if (best[row]! >= threshold) matches.push({ row, personId, score: best[row]! });
  }
  return matches.sort((a, b) => a.row - b.row);
}

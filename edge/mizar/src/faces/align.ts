/** Where the five landmarks lie in the 112 x 112 picture every embedder here was trained on (ArcFace's template). */
export const template112 = Float64Array.of(38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041);

/** Turn, scale and move: x' = a*x - b*y + tx, y' = b*x + a*y + ty. */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

/** The similarity that brings `from` closest to `to` in the least-squares sense (Umeyama without reflection). Points as x, y pairs. */
export function fitSimilarity(from: ArrayLike<number>, to: ArrayLike<number>): Similarity {
  const n = from.length / 2;
  let fx = 0;
  let fy = 0;
  let gx = 0;
  let gy = 0;
  for (let i = 0; i < n; i++) {
    fx += from[i * 2]!;
    fy += from[i * 2 + 1]!;
    gx += to[i * 2]!;
    gy += to[i * 2 + 1]!;
  }
  fx /= n;
  fy /= n;
  gx /= n;
  gy /= n;
  let dot = 0;
  let cross = 0;
  let norm = 0;
  for (let i = 0; i < n; i++) {
    const x = from[i * 2]! - fx;
    const y = from[i * 2 + 1]! - fy;
    const u = to[i * 2]! - gx;
    const v = to[i * 2 + 1]! - gy;
    dot += x * u + y * v;
    cross += x * v - y * u;
    norm += x * x + y * y;
  }
  // All five landmarks on one spot: no face; any finite transform will do, its quality is 0.
  const a = norm > 0 ? dot / norm : 1;
  const b = norm > 0 ? cross / norm : 0;
  return { a, b, tx: gx - a * fx + b * fy, ty: gy - b * fx - a * fy };
}

/** Undoes `s`. A similarity that shrinks everything to a point has no inverse; it answers the identity. */
export function invertSimilarity(s: Similarity): Similarity {
  const det = s.a * s.a + s.b * s.b;
  if (det === 0) return { a: 1, b: 0, tx: 0, ty: 0 };
  const a = s.a / det;
  const b = -s.b / det;
  return { a, b, tx: -(a * s.tx - b * s.ty), ty: -(b * s.tx + a * s.ty) };
}

export const applySimilarity = (s: Similarity, x: number, y: number): readonly [number, number] => [
  s.a * x - s.b * y + s.tx,
  s.b * x + s.a * y + s.ty,
];

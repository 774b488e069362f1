/** A face as found, in pixels of whatever picture the detector was shown. */
export interface Detection {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly score: number;
  /** x, y of right eye, left eye, nose, right and left corner of the mouth (the person's right). */
  readonly landmarks: Float64Array;
}

/** One stride's outputs, row by row of cells. */
export interface YunetMaps {
  readonly stride: number;
  readonly columns: number;
  readonly rows: number;
  readonly cls: Float32Array;
  readonly obj: Float32Array;
  readonly bbox: Float32Array;
  readonly kps: Float32Array;
}

export const yunetStrides = [8, 16, 32] as const;

const clamp01 = (v: number): number => (v < 0 ? 0 : v > 1 ? 1 : v);

/**
 * Cells whose score = sqrt(cls * obj) reaches `minScore`, before suppression. Nearly every cell fails, so they
 * are compared by the square and nothing is computed for them. Formula: libfacedetection.train's YuNet head.
 *
 * A cell with NaN or infinity anywhere, or whose box has no finite area, is dropped: one such box would overlap
 * every other, as far as arithmetic can tell, and suppress them all. Boxes beyond the frame are kept as they are.
 */
export function decodeYunet(maps: readonly YunetMaps[], minScore: number): Detection[] {
  const found: Detection[] = [];
  const least = minScore * minScore;
  for (const { stride, columns, rows, cls, obj, bbox, kps } of maps) {
    const cells = columns * rows;
    for (let i = 0; i < cells; i++) {
      const product = clamp01(cls[i]!) * clamp01(obj[i]!);
      // NaN fails this too.
      if (!(product >= least)) continue;
      const column = i % columns;
      const row = (i - column) / columns;
      const width = Math.exp(bbox[i * 4 + 2]!) * stride;
      const height = Math.exp(bbox[i * 4 + 3]!) * stride;
      const landmarks = new Float64Array(10);
      for (let k = 0; k < 5; k++) {
        landmarks[k * 2] = (kps[i * 10 + k * 2]! + column) * stride;
        landmarks[k * 2 + 1] = (kps[i * 10 + k * 2 + 1]! + row) * stride;
      }
      const face = {
        x: (column + bbox[i * 4]!) * stride - width / 2,
        y: (row + bbox[i * 4 + 1]!) * stride - height / 2,
        width,
        height,
        score: Math.sqrt(product),
        landmarks,
      };
      if (Number.isFinite(cls[i]! + obj[i]!) && isWhole(face)) found.push(face);
    }
  }
  return found;
}

function isWhole({ x, y, width, height, landmarks }: Detection): boolean {
  const area = width * height;
  return area > 0 && Number.isFinite(area + x + y) && landmarks.every(Number.isFinite);
}

export function iou(a: Detection, b: Detection): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  return common / (a.width * a.height + b.width * b.height - common);
}

/** Best first, at most `limit`; of two that overlap by more than `maxIou` the better one stays. Ties go by place and size, so the boxes are the same every time. */
export function suppress(found: readonly Detection[], maxIou: number, limit: number): Detection[] {
  const order = [...found].sort((a, b) => b.score - a.score || a.y - b.y || a.x - b.x || a.width - b.width || a.height - b.height);
  const kept: Detection[] = [];
  for (const next of order) {
    if (kept.length === limit) break;
    if (kept.every((k) => iou(k, next) <= maxIou)) kept.push(next);
  }
  return kept;
}

/** The same face in other units: every length multiplied. */
export function scaleDetection(d: Detection, by: number): Detection {
  return {
    x: d.x * by,
    y: d.y * by,
    width: d.width * by,
    height: d.height * by,
    score: d.score,
    landmarks: d.landmarks.map((v) => v * by),
  };
}

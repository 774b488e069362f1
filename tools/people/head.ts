import type { Identity } from './identity.ts';

export type Point = readonly [x: number, y: number];
/** x to the picture's right, y down, z towards the viewer; half head widths from the middle between the eyes. */
export type Point3 = readonly [x: number, y: number, z: number];

/** How the head is held. Degrees: yaw turns to the picture's right, pitch looks down, roll leans to the picture's right. */
export interface Pose {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
}

/** The joint of head and neck, about which heads turn. */
const pivot: Point3 = [0, 0.75, -0.25];
/** Nearer parts are a little larger, as through a lens some two metres away. */
const perspective = 0.05;

/** Where a point of the head falls in the picture, and how near it is. */
export type Project = (p: Point3) => Point3;

export function projectionOf({ yaw, pitch, roll }: Pose): Project {
  const [cy, sy] = cosSin(yaw);
  const [cp, sp] = cosSin(pitch);
  const [cr, sr] = cosSin(roll);
  return ([px, py, pz]) => {
    const [x, y, z] = [px - pivot[0], py - pivot[1], pz - pivot[2]];
    const x1 = x * cy + z * sy;
    const z1 = -x * sy + z * cy;
    const y2 = y * cp + z1 * sp;
    const z2 = -y * sp + z1 * cp;
    const near = 1 / (1 - perspective * z2);
    return [(x1 * cr - y2 * sr) * near + pivot[0], (x1 * sr + y2 * cr) * near + pivot[1], z2];
  };
}

const cosSin = (degrees: number): [number, number] => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];

/** One level cut through the head: half its width, how far it reaches forward and back, and where it is widest. */
export interface Section {
  readonly width: number;
  readonly front: number;
  readonly back: number;
  readonly middle: number;
}

/** A smooth curve through points with rising x. */
function through(points: readonly Point[]): (x: number) => number {
  return (x) => {
    let i = 0;
    while (i < points.length - 2 && x > (points[i + 1] as Point)[0]) i++;
    const [x0, y0] = points[i] as Point;
    const [x1, y1] = points[i + 1] as Point;
    const slope = (k: number): number => {
      const before = points[Math.max(0, k - 1)] as Point;
      const after = points[Math.min(points.length - 1, k + 1)] as Point;
      return (after[1] - before[1]) / (after[0] - before[0]);
    };
    const h = x1 - x0;
    const t = Math.max(0, Math.min(1, (x - x0) / h));
    const [t2, t3] = [t * t, t * t * t];
    return (2 * t3 - 3 * t2 + 1) * y0 + (t3 - 2 * t2 + t) * h * slope(i) + (-2 * t3 + 3 * t2) * y1 + (t3 - t2) * h * slope(i + 1);
  };
}

/** The head's surface, without nose and ears. */
export interface Head {
  readonly section: (y: number) => Section;
  /** The point in front at x, y, `lift` above the skin. Beyond the widest place it stays there. */
  readonly onFace: (x: number, y: number, lift?: number) => Point3;
  /** The point at an angle around the head (0 in front, 90 at the person's left ear), in degrees. */
  readonly around: (angle: number, y: number, lift?: number) => Point3;
  readonly chinY: number;
  readonly topY: number;
}

export function headOf({ head }: Identity, jawDrop: number): Head {
  const chinY = head.chinY + jawDrop;
  const jawY = head.jawY + jawDrop * 0.6;
  const lowest = chinY - 0.13;
  const width = through([
    [0, head.width],
    [0.34, head.cheek],
    [jawY, head.jaw],
    [lowest, head.chin],
  ]);
  const frontZ = through([
    [0, 0.95],
    [0.5, 0.96],
    [jawY, 0.93],
    [chinY, 0.84],
  ]);
  const backZ = through([
    [0, -1.08],
    [0.5, -0.85],
    [jawY, -0.3],
    [chinY, 0.3],
  ]);
  const middleZ = through([
    [0, 0],
    [0.5, 0.02],
    [jawY, 0.12],
    [chinY, 0.5],
  ]);
  const section = (y: number): Section => {
    if (y <= 0) {
      const up = Math.min(1, -y / head.top);
      const e = (1 - up ** 2.4) ** (1 / 2.4);
      return { width: head.width * e, front: 0.95 * head.depth * (1 - up ** 2.8) ** (1 / 2.8), back: 1.08 * head.depth * e, middle: 0 };
    }
    const at = Math.min(y, chinY);
    // The chin closes like a ball: its last bit is a quarter of an ellipse.
    const end = at <= lowest ? 1 : Math.sqrt(Math.max(0, 1 - ((at - lowest) / (chinY - lowest)) ** 2));
    const middle = middleZ(at);
    return {
      width: Math.max(0.001, width(Math.min(at, lowest)) * end),
      front: Math.max(0.01, (frontZ(at) * head.depth - middle) * (0.4 + 0.6 * end)),
      back: Math.max(0.01, (middle - backZ(at)) * (0.2 + 0.8 * end)),
      middle,
    };
  };
  return {
    section,
    chinY,
    topY: -head.top,
    onFace: (x, y, lift = 0) => {
      const s = section(y);
      const across = Math.max(-0.995, Math.min(0.995, x / s.width));
      return [across * s.width, y, s.middle + s.front * Math.sqrt(1 - across * across) + lift];
    },
    around: (angle, y, lift = 0) => {
      const s = section(y);
      const [c, n] = cosSin(angle);
      return [(s.width + lift) * n, y, s.middle + ((c > 0 ? s.front : s.back) + lift) * c];
    },
  };
}

/** The outline of points, as a polygon without dents. */
export function hull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list: readonly Point[]): Point[] => {
    const kept: Point[] = [];
    for (const p of list) {
      while (kept.length > 1 && turn(kept[kept.length - 2] as Point, kept[kept.length - 1] as Point, p) <= 0) kept.pop();
      kept.push(p);
    }
    kept.pop();
    return kept;
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

const turn = (a: Point, b: Point, c: Point): number => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
/** Whether a small patch faces the viewer, by the order its corners fall in. */
export const facesViewer = (a: Point, b: Point, c: Point): boolean => turn(a, b, c) > 0;

/** Every projected point of the head's skin between two heights and angles. */
export function skinPoints(head: Head, project: Project, fromY: number, toY: number, maxAngle: number, rows = 18, columns = 25): Point[] {
  const points: Point[] = [];
  for (let r = 0; r <= rows; r++) {
    // Rows crowd at both ends, where the head closes.
    const y = fromY + (toY - fromY) * (0.5 - 0.5 * Math.cos((Math.PI * r) / rows));
    for (let c = 0; c < columns; c++) {
      const [x, py] = project(head.around(-maxAngle + (2 * maxAngle * c) / (columns - 1), y));
      points.push([x, py]);
    }
  }
  return points;
}

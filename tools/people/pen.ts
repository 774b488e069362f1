import type { Point } from './head.ts';

const n = (v: number): string => (Math.round(v * 1000) / 1000).toString();
const at = (p: readonly number[]): string => `${n(p[0] as number)} ${n(p[1] as number)}`;

/** A path through points: smooth (Catmull and Rom's curve as Béziers). */
export function curve(points: readonly (readonly number[])[], closed = false): string {
  const count = points.length;
  const p = (i: number): readonly number[] =>
    points[closed ? (i + count) % count : Math.max(0, Math.min(count - 1, i))] as readonly number[];
  let d = `M${at(p(0))}`;
  for (let i = 0; i < (closed ? count : count - 1); i++) {
    const [a, b, c, e] = [p(i - 1), p(i), p(i + 1), p(i + 2)] as [Point, Point, Point, Point];
    d += `C${n(b[0] + (c[0] - a[0]) / 6)} ${n(b[1] + (c[1] - a[1]) / 6)} ${n(c[0] - (e[0] - b[0]) / 6)} ${n(c[1] - (e[1] - b[1]) / 6)} ${at(c)}`;
  }
  return closed ? `${d}Z` : d;
}

/** A path of straight lines, closed. */
export const polygon = (points: readonly (readonly number[])[]): string => `M${points.map(at).join('L')}Z`;

export const fill = (d: string, colour: string, opacity = 1): string =>
  `<path d="${d}" fill="${colour}"${opacity < 1 ? ` fill-opacity="${n(opacity)}"` : ''}/>`;

export const line = (d: string, colour: string, width: number, opacity = 1): string =>
  `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${n(width)}" stroke-linecap="round" stroke-linejoin="round"${opacity < 1 ? ` stroke-opacity="${n(opacity)}"` : ''}/>`;

/** A soft round spot; `id` must be the picture's own. */
export function glow(id: string, centre: readonly number[], rx: number, ry: number, colour: string, opacity: number): string {
  return `<radialGradient id="${id}"><stop offset="0" stop-color="${colour}" stop-opacity="${n(opacity)}"/><stop offset="1" stop-color="${colour}" stop-opacity="0"/></radialGradient><ellipse cx="${n(centre[0] as number)}" cy="${n(centre[1] as number)}" rx="${n(rx)}" ry="${n(ry)}" fill="url(#${id})"/>`;
}

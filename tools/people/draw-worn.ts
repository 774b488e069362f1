import { css, hsl, shade } from './colour.ts';
import { facing, on, type Sitter } from './draw-features.ts';
import type { Point3 } from './head.ts';
import { curve, fill, line } from './pen.ts';
import { drawFrom } from './random.ts';

/** Glasses stand a little off the face; their temples run to the ears. */
export function drawGlasses(sitter: Sitter): string {
  const { person, view } = sitter;
  const dark = view.covering === 'sunglasses';
  const { glasses } = person;
  if (glasses.style === 'none' && !dark) return '';
  const style = dark ? 'wide' : glasses.style;
  const size = dark ? 1.15 : glasses.size;
  const { apart, y } = person.eyes;
  if (facing(sitter, 0, y) < 0.12) return '';
  const { head, project } = sitter;
  const frontZ = head.onFace(0.2, y)[2] + 0.14;
  // Glasses are flat: only slightly bent towards the temples.
  const at = (gx: number, gy: number): Point3 => project([gx, gy, frontZ - 0.16 * gx * gx]);
  const halfW = (style === 'round' ? 0.25 : style === 'wide' ? 0.33 : 0.29) * size;
  const halfH = (style === 'round' ? 0.25 : style === 'square' ? 0.22 : style === 'wide' ? 0.24 : 0.17) * size;
  const square = style === 'round' ? 2 : style === 'wide' ? 2.8 : 4.5;
  const colour = dark ? '#17171b' : css(glasses.colour);
  const thick = dark ? 0.05 : glasses.thick;
  const middle = Math.max(apart * 0.5 + 0.2, halfW + 0.07);
  const lens = (s: number): Point3[] =>
    Array.from({ length: 20 }, (_, i) => {
      const t = (i * Math.PI) / 10;
      const [c, n] = [Math.cos(t), Math.sin(t)];
      return at(
        s * middle + halfW * Math.sign(c) * Math.abs(c) ** (2 / square),
        y + 0.04 + halfH * Math.sign(n) * Math.abs(n) ** (2 / square),
      );
    });
  let out = '';
  for (const s of [-1, 1]) {
    const shape = curve(lens(s), true);
    out += fill(shape, dark ? '#101014' : '#dfeaf0', dark ? 0.93 : 0.13);
    out +=
      style === 'half'
        ? line(
            curve(
              lens(s)
                .slice(9, 21)
                .concat([lens(s)[0] as Point3]),
            ),
            colour,
            thick * 1.5,
          )
        : line(shape, colour, thick);
    const ear = project(head.around(s * 92, y + 0.02, 0.03));
    const hinge = at(s * (middle + halfW), y - 0.04);
    // The temple of the far side lies behind the face.
    if (s * view.yaw < 20) out += line(curve([hinge, ear]), colour, thick * 0.8);
  }
  return out + line(curve([at(-middle + halfW, y), at(0, y - 0.05), at(middle - halfW, y)]), colour, thick);
}

/** What hides a part of the face in this picture only: a mask, a cap, a hand. */
export function drawCovering(sitter: Sitter): string {
  const { person, view, head, project } = sitter;
  const draw = drawFrom(view.outfit + 7);
  const place = on(sitter);
  if (view.covering === 'mask' && facing(sitter, 0, 0.6) > 0.1) {
    const colour = draw.chance(0.6) ? '#a9c7d8' : css(hsl(draw.between(0, 360), 0.2, draw.between(0.15, 0.85)));
    const top = [-0.8, -0.4, 0, 0.4, 0.8].map((x) =>
      place(x * person.head.cheek, 0.36 - (x === 0 ? 0.12 : 0), x === 0 ? person.nose.out * 0.8 : 0.04),
    );
    const low = [72, 40, 0, -40, -72].map((a) => project(head.around(a, head.chinY - 0.02 - 0.3 * (Math.abs(a) / 72) ** 2, 0.05)));
    const shape = curve([...top, ...low], true);
    const fold = curve([-0.6, 0, 0.6].map((x) => place(x * person.head.jaw, 0.7, 0.1)));
    return fill(shape, colour) + line(fold, '#3c4650', 0.02, 0.35);
  }
  if (view.covering === 'cap') {
    const colour = hsl(draw.between(0, 360), draw.between(0.1, 0.6), draw.between(0.15, 0.6));
    const room = ['afro', 'curls', 'quiff'].includes(person.hair.style) ? 0.2 : 0.08;
    const ring = (y: number, lift: number): Point3[] =>
      Array.from({ length: 25 }, (_, i) => project(head.around(-180 + i * 15, y, lift + room)));
    const peak = [-58, -30, 0, 30, 58].map((a) =>
      project(head.around(a, -0.58 + 0.06 * Math.cos((a * Math.PI) / 180), 0.14 + 0.5 * Math.cos((a * Math.PI) / 116))),
    );
    const rim = [58, 30, 0, -30, -58].map((a) => project(head.around(a, -0.62, 0.14)));
    const crown = [...ring(-0.62, 0.16), ...ring(-0.95, 0.17), ...ring(-1.2, 0.14), ...ring(head.topY + 0.01, 0.14)].map(
      ([x, y]) => [x, y - 0.12 - room * 0.6] as const,
    );
    return (
      fill(curve(outline(crown), true), css(colour)) +
      (facing(sitter, 0, -0.4) > 0 ? fill(curve([...peak, ...rim], true), css(shade(colour, 0.7))) : '')
    );
  }
  if (view.covering === 'hand' && facing(sitter, 0, 0.6) > 0.1) {
    const s = draw.chance(0.5) ? 1 : -1;
    const [x, y] = place(s * 0.5, head.chinY - 0.22, 0.2);
    const finger = (i: number): string =>
      `M${x - s * 0.1} ${y + 0.1 - i * 0.14}l${-s * (0.5 - 0.06 * Math.abs(i - 1.5))} ${-0.16 - i * 0.05}`;
    const skin = css(shade(person.skin.colour, 0.94));
    const hand = `<ellipse cx="${x}" cy="${y + 0.12}" rx="0.3" ry="0.4" fill="${skin}"/><path d="M${x} ${y + 0.4}L${x + s * 0.5} ${y + 2.4}" stroke="${skin}" stroke-width="0.5"/>`;
    return `${line([0, 1, 2, 3].map(finger).join(''), css(shade(person.skin.colour, 0.7)), 0.17)}${line([0, 1, 2, 3].map(finger).join(''), skin, 0.14)}${hand}`;
  }
  return '';
}

/** The outer points around their middle, one for each of 40 directions. */
function outline(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const cx = points.reduce((sum, p) => sum + p[0], 0) / points.length;
  const cy = points.reduce((sum, p) => sum + p[1], 0) / points.length;
  return Array.from({ length: 40 }, (_, i) => {
    const [dx, dy] = [Math.cos((i * Math.PI) / 20), Math.sin((i * Math.PI) / 20)];
    const far = Math.max(...points.map(([x, y]) => (x - cx) * dx + (y - cy) * dy));
    return points.find(([x, y]) => (x - cx) * dx + (y - cy) * dy === far) ?? ([cx, cy] as const);
  }).filter((p, i, all) => i === 0 || p !== all[i - 1]);
}

import { css, mix, type Rgb, shade } from './colour.ts';
import type { Head, Point3, Project } from './head.ts';
import type { Identity } from './identity.ts';
import { curve, fill, glow, line, polygon } from './pen.ts';
import { drawFrom } from './random.ts';
import type { View } from './view.ts';

/** What drawing a part of the face needs. `id` keeps gradients of several people in one picture apart. */
export interface Sitter {
  readonly person: Identity;
  readonly view: View;
  readonly head: Head;
  readonly project: Project;
  readonly id: string;
  readonly skinFill: string;
}

/** Places on the face, in the picture's units. */
const on =
  ({ head, project }: Sitter) =>
  (x: number, y: number, lift = 0): Point3 =>
    project(head.onFace(x, y, lift));

/** How squarely the skin at x, y faces the viewer: 1 wholly, 0 or less not at all. */
function facing(sitter: Sitter, x: number, y: number): number {
  const place = on(sitter);
  const e = 0.02;
  const [a, b, c] = [place(x, y), place(x + e, y), place(x, y + e)];
  return ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / (e * e);
}

/** Brows take the hair's colour, a little darker. */
const browColour = ({ hair, skin }: Identity): Rgb => {
  const own: Rgb = hair.style === 'scarf' ? [52, 38, 30] : hair.colour;
  return mix(shade(own, 0.72), skin.colour, 0.12);
};

/** Eyes' centre heights and the corners of the mouth, as the expression moves them. */
export const mouthCorner = ({ mouth }: Identity, view: View, jawDrop: number, side: number): readonly [number, number, number] => [
  side * mouth.width * (1 + 0.16 * Math.max(0, view.smile) - 0.12 * view.mouthOpen),
  mouth.y + mouth.droop - 0.075 * view.smile + jawDrop * 0.45,
  0.015,
];

export function drawEyes(sitter: Sitter): string {
  const { person, view, id } = sitter;
  const { eyes, lines, skin } = person;
  const place = on(sitter);
  return [-1, 1]
    .map((side) => {
      if (facing(sitter, side * eyes.apart, eyes.y) < 0.12) return '';
      const open = eyes.open * Math.max(0.04, view.eyesOpen) * (1 - 0.22 * Math.max(0, view.smile));
      // u from the inner to the outer corner.
      const at = (u: number, v: number, lift = 0): Point3 =>
        place(side * (eyes.apart + u * eyes.width), eyes.y + v - u * eyes.tilt * (1 + 0.1), lift - 0.03);
      const upper = [-1, -0.6, -0.15, 0.35, 0.75, 1].map((u) => at(u, -open * lidHeight(u)));
      const lower = [0.75, 0.3, -0.2, -0.65].map((u) => at(u, open * 0.78 * lidHeight(-u)));
      const shape = curve([...upper, ...lower], true);
      const r = eyes.irisSize;
      const gx = view.gaze[0] * side * 0.35;
      const disc = (radius: number): Point3[] =>
        Array.from({ length: 14 }, (_, i) =>
          at(
            gx + (radius / eyes.width) * Math.cos((i * Math.PI) / 7),
            view.gaze[1] * 0.025 - 0.008 + gx * eyes.tilt + radius * Math.sin((i * Math.PI) / 7),
          ),
        );
      const shine = at(gx - side * 0.18, -0.035);
      const lid = css(shade(skin.colour, 0.42));
      const socket = place(side * eyes.apart, eyes.y - 0.06);
      const creaseLine = [-0.85, -0.3, 0.3, 0.95].map((u) => at(u, -open * lidHeight(u) * 1.1 - 0.028 - 0.035 * eyes.crease));
      const lash = [at(0.8, -open * lidHeight(0.8)), at(1.28, -open * 0.5 - 0.05)];
      const bag = [-0.6, 0, 0.7].map((u) => at(u, open * 0.8 + 0.075));
      const crow = [-1, 0, 1].map((k) => curve([at(1.3, 0.02 * k), at(1.62, 0.085 * k)])).join('');
      return [
        glow(`${id}s${side}`, socket, 0.33, 0.24, css(shade(skin.colour, 0.62)), 0.55),
        eyes.bags > 0.25 ? line(curve(bag), css(shade(skin.colour, 0.7)), 0.025, eyes.bags * 0.75) : '',
        lines.eyes > 0.2 ? line(crow, css(shade(skin.colour, 0.68)), 0.017, lines.eyes) : '',
        `<clipPath id="${id}e${side}"><path d="${shape}"/></clipPath>`,
        fill(shape, '#eee7de'),
        `<g clip-path="url(#${id}e${side})">${fill(curve(disc(r), true), css(eyes.iris))}${line(curve(disc(r * 0.96), true), css(shade(eyes.iris, 0.55)), 0.018)}${fill(curve(disc(r * 0.45), true), '#120d0b')}<circle cx="${shine[0]}" cy="${shine[1]}" r="0.022" fill="#fff"/>${line(curve(upper), '#2a1a14', 0.05, 0.3)}</g>`,
        line(curve(upper), lid, 0.028 + 0.022 * eyes.lashes),
        line(curve([upper[5] as Point3, ...lower, upper[0] as Point3]), css(shade(skin.colour, 0.6)), 0.012, 0.8),
        eyes.lashes > 0.4 ? line(curve(lash), '#1d1512', 0.026) : '',
        eyes.crease > 0.15 ? line(curve(creaseLine), css(shade(skin.colour, 0.66)), 0.018, 0.35 + 0.5 * eyes.crease) : '',
      ].join('');
    })
    .join('');
}

/** How open the lid is along the eye: round inside, drawn out at the outer corner. */
const lidHeight = (u: number): number => Math.max(0, 1 - Math.abs(u + 0.08) ** 2.2) ** 0.8;

export function drawBrows(sitter: Sitter): string {
  const { person, view } = sitter;
  const { brows, eyes } = person;
  const place = on(sitter);
  const colour = css(browColour(person));
  return [-1, 1]
    .map((side) => {
      if (facing(sitter, side * eyes.apart, brows.y) < 0.1) return '';
      const at = (u: number, v: number): Point3 =>
        place(
          side * (eyes.apart + brows.gap + (u - 0.1) * brows.length),
          eyes.y + brows.y - view.browRaise * 0.07 - brows.arch * (1 - ((u - 0.25) / 1.1) ** 2) - u * brows.tilt * 0.35 + v,
          0.02,
        );
      const thick = (u: number): number => brows.thick * (u < 0.2 ? 1 : 1 - (u - 0.2) * 0.75);
      const us = [-0.95, -0.5, 0, 0.5, 1];
      return fill(curve([...us.map((u) => at(u, -thick(u))), ...[...us].reverse().map((u) => at(u, thick(u) * 0.8))], true), colour, 0.92);
    })
    .join('');
}

/** The nose's tip, which stands off the face: the third landmark. */
export const noseTip = ({ nose }: Identity): readonly [number, number, number] => [0, nose.tipY, nose.out];

export function drawNose(sitter: Sitter): string {
  const { person, view, id } = sitter;
  const { nose, skin, eyes } = person;
  const place = on(sitter);
  const tip = place(...noseTip(person));
  const wingY = nose.tipY + 0.045 - nose.up * 0.02;
  const base = place(0, nose.tipY + 0.115 - nose.up * 0.025, nose.out * 0.55);
  const [wl, wr] = [-1, 1].map((s) => place(s * nose.wings, wingY, 0.035)) as [Point3, Point3];
  const [ol, or] = [-1, 1].map((s) => place(s * nose.wings * 0.95, wingY - 0.075, 0.07)) as [Point3, Point3];
  const [bl, br] = [-1, 1].map((s) => place(s * nose.bridge * 0.85, eyes.y + 0.02, 0.05)) as [Point3, Point3];
  const [ml, mr] = [-1, 1].map((s) => place(s * (nose.bridge + 0.01), nose.tipY * 0.55, nose.out * 0.42)) as [Point3, Point3];
  const top = place(0, eyes.y - 0.1, 0.04);
  const dark = shade(skin.colour, 0.6);
  const tipR = 0.075 + 0.05 * nose.ball;
  // The side away from the light is in shadow; a turned head shows its own side.
  const shadowSide = view.lightFrom < 0.5 ? 1 : -1;
  const outline = [bl, ml, ol, wl, base, wr, or, mr, br];
  const side = shadowSide > 0 ? [top, br, mr, or, wr, base, tip] : [top, bl, ml, ol, wl, base, tip];
  const far =
    view.yaw > 12
      ? [br, mr, [tip[0] + tipR * 0.6, tip[1] - tipR * 0.4], [tip[0] + tipR * 0.75, tip[1] + tipR * 0.3], base]
      : view.yaw < -12
        ? [bl, ml, [tip[0] - tipR * 0.6, tip[1] - tipR * 0.4], [tip[0] - tipR * 0.75, tip[1] + tipR * 0.3], base]
        : undefined;
  const nostrils = [-1, 1]
    .map((s) => {
      const [x, y] = place(s * nose.wings * 0.5, nose.tipY + 0.085 - nose.up * 0.022, nose.out * 0.35);
      return `<ellipse cx="${x}" cy="${y}" rx="${nose.wings * 0.26}" ry="${Math.max(0.014, 0.026 + nose.up * 0.012 - view.pitch * 0.0007)}" fill="${css(shade(skin.colour, 0.32))}" fill-opacity="0.8"/>`;
    })
    .join('');
  return [
    fill(polygon(outline), sitter.skinFill),
    `<circle cx="${tip[0]}" cy="${tip[1]}" r="${tipR}" fill="${sitter.skinFill}"/>`,
    fill(curve(side, true), css(dark), 0.16 + 0.26 * view.lightHardness),
    far && Math.abs(view.yaw) < 75 ? line(curve(far), css(dark), 0.026, 0.75) : '',
    line(
      curve([
        ol,
        wl,
        [(wl[0] + base[0]) / 2, (wl[1] + base[1]) / 2 + 0.01],
        base,
        [(wr[0] + base[0]) / 2, (wr[1] + base[1]) / 2 + 0.01],
        wr,
        or,
      ]),
      css(shade(skin.colour, 0.5)),
      0.026,
      0.85,
    ),
    nostrils,
    Math.abs(view.yaw) < 60
      ? glow(`${id}n`, [tip[0] - shadowSide * 0.025, tip[1] - 0.03], tipR * 1.2, tipR, css(mix(skin.colour, [255, 255, 255], 0.5)), 0.4)
      : '',
  ].join('');
}

export function drawMouth(sitter: Sitter, jawDrop: number): string {
  const { person, view } = sitter;
  const { mouth, skin } = person;
  if (facing(sitter, 0, mouth.y) < 0.1) return '';
  const place = on(sitter);
  const corners = [-1, 1].map((s) => place(...mouthCorner(person, view, jawDrop, s))) as [Point3, Point3];
  const w = Math.abs(mouthCorner(person, view, jawDrop, 1)[0]);
  const y = mouth.y + mouth.droop * 0.3 + 0.035 * Math.max(0, view.smile);
  const gapTop = -0.02 * view.mouthOpen;
  const gapBottom = jawDrop * 0.9 + 0.05 * view.mouthOpen;
  const row = (us: readonly number[], v: (u: number) => number, lift: number): Point3[] =>
    us.map((u) => place(u * w, y + v(u) + (mouthCorner(person, view, jawDrop, 1)[1] - y) * u * u * 0.95, 0.03 + lift * (1 - u * u)));
  const us = [-0.68, -0.3, 0, 0.3, 0.68];
  const arch = (u: number): number => 1 - u * u;
  const upperTop = row(us, (u) => gapTop - mouth.upper * (arch(u) ** 0.6 - (u === 0 ? 0.28 * mouth.bow : 0)), 0.06);
  const upperEnd = row(us, (u) => gapTop * arch(u) + (u === 0 ? 0.012 : 0), 0.05);
  const lowerTop = row(us, (u) => gapBottom * arch(u), 0.05);
  const lowerEnd = row(us, (u) => gapBottom + mouth.lower * 1.15 * arch(u) ** 0.75 - gapBottom * (1 - arch(u)), 0.05);
  const lip = mix(mix(skin.colour, [176, 70, 74], 0.42), shade(skin.colour, 0.7), 0.25);
  const [l, r] = corners;
  const gap = view.mouthOpen > 0.06 ? curve([l, ...upperEnd, r, ...[...lowerTop].reverse()], true) : '';
  const teeth = row(us, (u) => gapTop * arch(u) + Math.min(gapBottom * 0.55, 0.09) * arch(u) + 0.005, 0.03);
  return [
    fill(curve([l, ...upperTop, r, ...[...upperEnd].reverse()], true), css(shade(lip, 0.88))),
    fill(curve([l, ...lowerTop, r, ...[...lowerEnd].reverse()], true), css(lip)),
    gap
      ? fill(gap, '#4a1c1c') + fill(curve([...upperEnd, ...[...teeth].reverse()], true), '#f6f1e8')
      : line(curve([l, ...upperEnd, r]), css(shade(skin.colour, 0.36)), 0.026),
    line(curve(row([-0.45, 0, 0.45], () => gapBottom + mouth.lower * 1.2 + 0.05, 0.02)), css(shade(skin.colour, 0.66)), 0.03, 0.45),
    [l, r]
      .map(
        (c, i) =>
          `<circle cx="${c[0]}" cy="${c[1]}" r="0.022" fill="${css(shade(skin.colour, 0.5))}" fill-opacity="${i === 0 ? 0.8 : 0.8}"/>`,
      )
      .join(''),
  ].join('');
}

/** Lines of age, freckles and birthmarks, and the cheeks' red. */
export function drawSkinMarks(sitter: Sitter, jawDrop: number): string {
  const { person, view, id } = sitter;
  const { skin, lines, nose, head, eyes } = person;
  const place = on(sitter);
  const dark = css(shade(skin.colour, 0.66));
  const seen = (x: number, y: number): boolean => facing(sitter, x, y) > 0.15;
  const corner = mouthCorner(person, view, jawDrop, 1);
  let out = '';
  for (const s of [-1, 1]) {
    if (seen(s * 0.5, 0.45)) {
      out += glow(`${id}c${s}`, place(s * 0.54, 0.42), 0.3, 0.24, css(mix(skin.colour, [214, 74, 66], 0.6)), 0.4 * skin.blush);
      const fold = lines.cheek * 0.8 + Math.max(0, view.smile) * 0.3;
      if (fold > 0.15)
        out += line(
          curve([
            place(s * (nose.wings + 0.05), nose.tipY + 0.02),
            place(s * (corner[0] + 0.075), corner[1] - 0.17),
            place(s * (corner[0] + 0.1), corner[1] + 0.02),
          ]),
          dark,
          0.028,
          Math.min(0.9, fold),
        );
    }
  }
  const wrinkles = Math.round(lines.brow * 4);
  for (let i = 0; i < wrinkles; i++) {
    const y = -0.44 - i * 0.095;
    out += line(
      curve([-0.42, -0.15, 0.15, 0.42].map((x, k) => place(x, y + (k % 3 === 0 ? 0.025 : 0), 0.01))),
      dark,
      0.02,
      0.25 + lines.brow * 0.6,
    );
  }
  const draw = drawFrom(Math.round(head.chinY * 1e6));
  if (skin.freckles > 0)
    for (let i = 0; i < 34; i++) {
      const [x, y] = [draw.near(0, 0.33), draw.near(0.3, 0.11)];
      if (!seen(x, y)) continue;
      const p = place(x, y);
      out += `<circle cx="${p[0]}" cy="${p[1]}" r="${draw.between(0.009, 0.018)}" fill="${css(mix(skin.colour, [136, 74, 40], 0.6))}" fill-opacity="${skin.freckles * 0.7}"/>`;
    }
  for (const [x, y, radius] of skin.spots) {
    if (!seen(x, y) || Math.hypot(Math.abs(x) - eyes.apart, y) < 0.2) continue;
    const p = place(x, y);
    out += `<circle cx="${p[0]}" cy="${p[1]}" r="${radius}" fill="${css(shade(skin.colour, 0.4))}"/>`;
  }
  return out;
}

export { browColour, facing, on };

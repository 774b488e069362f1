import sharp from 'sharp';
import { css, shade } from './colour.ts';
import { drawBeard } from './draw-beard.ts';
import { bustEndsY, drawBody } from './draw-body.ts';
import { drawBrows, drawEyes, drawMouth, drawNose, drawSkinMarks, mouthCorner, noseTip, type Sitter } from './draw-features.ts';
import { drawHair } from './draw-hair.ts';
import { drawCovering, drawGlasses } from './draw-worn.ts';
import { type Head, headOf, hull, type Project, projectionOf, skinPoints } from './head.ts';
import type { Identity } from './identity.ts';
import { curve, fill, line } from './pen.ts';
import type { View } from './view.ts';

/** Pixels of the picture. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One drawn person on a transparent ground. */
export interface RenderedFace {
  readonly svg: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Right eye, left eye, nose tip, right and left corner of the mouth (the person's right), x and y in pixels, also where they are hidden. */
  readonly landmarks: readonly number[];
  /** From the hairline to the chin and from cheek to cheek, as detectors draw it. */
  readonly box: Box;
  /** False when the head is turned so far away that no face is to be seen. */
  readonly faceVisible: boolean;
}

/** Beyond this turn one eye and half the mouth are hidden: no detector is asked to find it. */
const visibleYaw = 68;
/** Room around a bust, in half head widths: hair and shoulders fit. */
const halfWidth = 2.9;
const fromY = -2.35;

/** The face's box in half head widths. */
function faceBox(head: Head, project: Project): Box {
  const points = skinPoints(head, project, -0.72, head.chinY, 72, 12, 17);
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/** The shorter side of somebody's face box seen from the front, in half head widths. */
function frontSize(person: Identity): number {
  const box = faceBox(headOf(person, 0), projectionOf({ yaw: 0, pitch: 0, roll: 0 }));
  return Math.min(box.width, box.height);
}

let drawn = 0;

/**
 * Draws somebody. `sizePx` is the shorter side of the face box as it would be from the front, so that turning the head
 * does not make it grow; the picture is as large as it must be to hold a bust (or the whole figure) at that size.
 */
export function renderFace(person: Identity, view: View, sizePx: number): RenderedFace {
  const jawDrop = 0.13 * view.mouthOpen;
  const head = headOf(person, jawDrop);
  const project = projectionOf(view);
  const scale = sizePx / frontSize(person);
  const toY = view.framing === 'full' ? person.body.height + 0.2 : bustEndsY;
  const [widthPx, heightPx] = [Math.ceil(2 * halfWidth * scale), Math.ceil((toY - fromY) * scale)];
  drawn = (drawn + 1) % 1_000_000;
  const inside = drawPerson(person, view, head, project, `p${drawn}`, jawDrop);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${heightPx}"><g transform="scale(${scale}) translate(${halfWidth} ${-fromY})">${inside}</g></svg>`;
  const x = (v: number): number => (v + halfWidth) * scale;
  const y = (v: number): number => (v - fromY) * scale;
  const { eyes } = person;
  const marks = [
    head.onFace(-eyes.apart, eyes.y),
    head.onFace(eyes.apart, eyes.y),
    head.onFace(...noseTip(person)),
    head.onFace(...mouthCorner(person, view, jawDrop, -1)),
    head.onFace(...mouthCorner(person, view, jawDrop, 1)),
  ].map(project);
  const box = faceBox(head, project);
  return {
    svg,
    widthPx,
    heightPx,
    landmarks: marks.flatMap((p) => [x(p[0]), y(p[1])]),
    box: { x: x(box.x), y: y(box.y), width: box.width * scale, height: box.height * scale },
    faceVisible: Math.abs(view.yaw) <= visibleYaw,
  };
}

/** As `renderFace`, but the shorter side of the face's box is `facePx` as drawn: a turned head is drawn larger to make up for it. */
export function renderFaceOfSize(person: Identity, view: View, facePx: number): RenderedFace {
  const { box } = renderFace(person, view, facePx);
  return renderFace(person, view, (facePx * facePx) / Math.min(box.width, box.height));
}

/** The pixels of a rendered person: red, green, blue, alpha, row after row. */
export async function rasterise(face: Pick<RenderedFace, 'svg'>): Promise<Buffer> {
  return sharp(Buffer.from(face.svg)).ensureAlpha().raw().toBuffer();
}

function drawPerson(person: Identity, view: View, head: Head, project: Project, id: string, jawDrop: number): string {
  const { skin, hair } = person;
  const lit = 1 + 0.06 * view.lightHardness;
  const dim = 1 - 0.12 - 0.38 * view.lightHardness;
  // Light falls across the whole figure in one direction, from `lightFrom` on an arc above.
  const from = Math.PI * (1 - view.lightFrom);
  const [dx, dy] = [Math.cos(from) * 1.25, -Math.sin(from) * 1.25];
  const light = (name: string, colour: readonly [number, number, number], low: number): string =>
    `<linearGradient id="${id}${name}" gradientUnits="userSpaceOnUse" x1="${dx}" y1="${dy}" x2="${-dx}" y2="${-dy}"><stop offset="0.15" stop-color="${css(shade(colour, lit))}"/><stop offset="0.5" stop-color="${css(shade(colour, (1 + low) / 2 + 0.05))}"/><stop offset="1" stop-color="${css(shade(colour, low))}"/></linearGradient>`;
  const skinFill = `url(#${id}skin)`;
  const hairFill = `url(#${id}hair)`;
  const sitter: Sitter = { person, view, head, project, id, skinFill };
  const outline = curve(hull(skinPoints(head, project, head.topY, head.chinY, 180)), true);
  const edge = css(shade(skin.colour, 0.55));
  const { behind, before } = drawHair(person, head, project, hairFill);
  const [nearEar, farEar] = drawEars(sitter);
  const faceSeen = Math.abs(view.yaw) < 100;
  const features = faceSeen
    ? drawSkinMarks(sitter, jawDrop) +
      drawEyes(sitter) +
      (person.beard.style === 'stubble' ? drawBeard(sitter, jawDrop) : '') +
      drawBrows(sitter)
    : '';
  const standing = faceSeen
    ? drawMouth(sitter, jawDrop) +
      (person.beard.style === 'stubble' ? '' : drawBeardOver(sitter, jawDrop)) +
      drawNose(sitter) +
      drawGlasses(sitter)
    : '';
  return [
    `<defs>${light('skin', skin.colour, dim)}${light('hair', hair.colour, dim * 0.85)}<clipPath id="${id}face"><path d="${outline}"/></clipPath></defs>`,
    behind,
    drawBody(person, view, skinFill, css(shade(skin.colour, 0.5))),
    farEar,
    fill(outline, skinFill),
    `<g clip-path="url(#${id}face)">${line(outline, edge, 0.16, 0.16)}${line(outline, edge, 0.06, 0.3)}${features}</g>`,
    standing,
    nearEar,
    before,
    drawCovering(sitter),
  ].join('');
}

/** The mouth is drawn again over a beard, which would bury the lips. */
const drawBeardOver = (sitter: Sitter, jawDrop: number): string => {
  const beard = drawBeard(sitter, jawDrop);
  return beard ? beard + (sitter.person.beard.style === 'moustache' ? '' : drawMouth(sitter, jawDrop)) : '';
};

/** The ear on the near side and the one on the far side; seen from the front, both count as far. */
function drawEars(sitter: Sitter): [near: string, far: string] {
  const { person, view, head, project, skinFill } = sitter;
  const { ears, skin } = person;
  let near = '';
  let far = '';
  if (person.hair.style === 'scarf') return [near, far];
  for (const s of [-1, 1]) {
    const base = head.section(ears.y);
    const out = ((18 + 40 * ears.out) * Math.PI) / 180;
    const at = (u: number, v: number): readonly number[] =>
      project([
        s * (base.width * 0.99 + Math.sin(out) * u * 0.3 * ears.size),
        ears.y + v * 0.27 * ears.size,
        -0.08 - Math.cos(out) * u * 0.3 * ears.size,
      ]);
    const rim = [at(0, -0.75), at(0.35, -1), at(0.85, -0.9), at(1, -0.4), at(0.85, 0.15), at(0.5, 0.6), at(0.25, 1), at(0, 0.8)];
    const inner = [at(0.2, -0.6), at(0.6, -0.65), at(0.65, -0.1), at(0.3, 0.4)];
    const ring = at(0.3, 1.1);
    const drawing =
      fill(curve(rim, true), skinFill) +
      line(curve(rim), css(shade(skin.colour, 0.55)), 0.022, 0.8) +
      line(curve(inner), css(shade(skin.colour, 0.55)), 0.035, 0.7) +
      (ears.ring ? `<circle cx="${ring[0]}" cy="${ring[1]}" r="0.05" fill="#d9b64a"/>` : '');
    // Turned to the right, the person's right side (the picture's left) comes near.
    if (s * view.yaw < -14 && Math.abs(view.yaw) < 150) near += drawing;
    else if (s * view.yaw < 35 || Math.abs(view.yaw) > 150) far += drawing;
  }
  return [near, far];
}

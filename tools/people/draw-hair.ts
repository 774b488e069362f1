import { css, mix, shade } from './colour.ts';
import { facesViewer, type Head, type Point3, type Project } from './head.ts';
import type { HairStyle, Identity } from './identity.ts';
import { curve, fill, line, polygon } from './pen.ts';
import { drawFrom } from './random.ts';

/** How a style lies around the head. Heights as in Identity; angles in degrees from the front. */
interface Cut {
  /** How far hair stands off the skin: above, at the sides, behind, in front. */
  readonly top: number;
  readonly sides: number;
  readonly back: number;
  readonly front: number;
  /** Where hair ends in front, at the temples, at the ears and at the nape. */
  readonly line: number;
  readonly temple: number;
  readonly ear: number;
  readonly nape: number;
  /** Where it begins, counted from the crown down; a bald crown begins lower. */
  readonly from: number;
  /** How ragged the outline and the ends are. */
  readonly curl: number;
  readonly ragged: number;
  /** How the front line rises to the parting's side. */
  readonly slant: number;
  /** Ends in front hang off the skin, as a fringe does. */
  readonly hanging: boolean;
}

function cutOf({ hair, head }: Identity): Cut {
  const v = hair.volume;
  const plain: Cut = {
    top: 0.06 + 0.07 * v,
    sides: 0.02 + 0.03 * v,
    back: 0.06 + 0.05 * v,
    front: 0.03,
    line: hair.line,
    temple: -0.42,
    ear: -0.02,
    nape: 0.72,
    from: -head.top,
    curl: 0,
    ragged: 0.02,
    slant: 0,
    hanging: false,
  };
  const l = hair.length;
  const changes: Record<HairStyle, Partial<Cut>> = {
    crop: { ear: 0.08 },
    'side-part': { top: 0.12 + 0.08 * v, slant: 0.16, ear: 0.06 },
    quiff: { top: 0.2 + 0.14 * v, front: 0.16, line: hair.line - 0.04, ragged: 0.05 },
    curls: { top: 0.16 + 0.14 * v, sides: 0.12 + 0.08 * v, back: 0.2, curl: 0.07, ragged: 0.06, ear: 0.15 + 0.2 * hair.wave, temple: -0.5 },
    afro: { top: 0.34 + 0.22 * v, sides: 0.3 + 0.2 * v, back: 0.4, front: 0.08, curl: 0.035, ear: 0.25, temple: -0.5, nape: 0.9 },
    fringe: { top: 0.12 + 0.06 * v, line: -0.42 + 0.06 * hair.wave, temple: -0.25, hanging: true, ragged: 0.05, ear: 0.2, sides: 0.07 },
    bob: { top: 0.12 + 0.06 * v, sides: 0.16 + 0.05 * v, back: 0.18, ear: 0.75 + l * 0.2, temple: -0.2, nape: 0.95 + l * 0.15, slant: 0.1 },
    long: { top: 0.1 + 0.05 * v, sides: 0.13 + 0.05 * v, back: 0.16, ear: 1.2 + l * 0.55, temple: -0.25, nape: 1.4 + l * 0.55, slant: 0.1 },
    'long-waves': {
      top: 0.14 + 0.06 * v,
      sides: 0.2 + 0.06 * v,
      back: 0.22,
      ear: 1.1 + l * 0.5,
      temple: -0.25,
      nape: 1.3 + l * 0.5,
      curl: 0.045,
      slant: 0.08,
    },
    bun: { top: 0.05, sides: 0.03, back: 0.07, ear: -0.05, nape: 0.7 },
    receding: { top: 0.06, line: hair.line - 0.26, temple: -0.62, ear: 0.05, slant: 0.03 },
    'crown-bald': { from: -0.55 * head.top, top: 0.03, line: -0.56 * head.top, temple: -0.56 * head.top, ear: 0.08, sides: 0.06 },
    bald: {},
    scarf: {
      top: 0.1 + 0.05 * v,
      sides: 0.1,
      back: 0.2 + 0.1 * v,
      line: hair.line + 0.1,
      temple: -0.1,
      ear: 1.75,
      nape: 2,
      ragged: 0,
      front: 0.06,
    },
  };
  return { ...plain, ...changes[hair.style] };
}

const columns = 44;
const rows = 9;
const bald = (style: HairStyle): boolean => style === 'bald';

/** Hair behind the head and in front of it, as two drawings. */
export function drawHair(person: Identity, head: Head, project: Project, hairFill: string): { behind: string; before: string } {
  const { hair } = person;
  if (bald(hair.style)) return { behind: '', before: '' };
  const cut = cutOf(person);
  const draw = drawFrom(hair.seed);
  const jag = Array.from({ length: columns }, () => draw.between(-1, 1));
  const rings = Array.from({ length: columns }, (_, c) => column(person, head, cut, -180 + (360 * c) / columns, jag[c] as number, c));
  const shown = rings.map((ring) => ring.map(project));
  let behind = '';
  let before = '';
  for (let c = 0; c < columns; c++) {
    // Nothing grows where hair would end above where it begins: a bald crown's front.
    if (Math.abs(-180 + (360 * (c + 0.5)) / columns) < 56 && cut.line <= cut.from) continue;
    const [a, b] = [shown[c], shown[(c + 1) % columns]] as [Point3[], Point3[]];
    for (let r = 0; r < rows; r++) {
      const [p, q, s, t] = [a[r], b[r], b[r + 1], a[r + 1]] as [Point3, Point3, Point3, Point3];
      if (facesViewer([p[0], p[1]], [q[0], q[1]], [s[0], s[1]])) before += polygon([p, q, s, t]);
      else behind += polygon([p, t, s, q]);
    }
  }
  const dark = css(shade(hair.colour, hair.style === 'afro' ? 0.82 : 0.66));
  const wide = cut.curl > 0 ? 0.07 : 0.02;
  const seam = (d: string, colour: string): string =>
    d ? `<path d="${d}" fill="${colour}" stroke="${colour}" stroke-width="${wide}" stroke-linejoin="round"/>` : '';
  return {
    behind: bunOf(person, cut, project, hairFill) + seam(behind, dark),
    before: seam(before, hairFill) + strands(person, shown),
  };
}

/** One line of hair from the crown to its end. */
function column(person: Identity, head: Head, cut: Cut, angle: number, jag: number, index: number): Point3[] {
  const { hair } = person;
  const end = endOf(cut, person, angle) + jag * cut.ragged;
  const inFront = Math.max(0, 1 - Math.abs(angle) / 62);
  const hang = 0.18;
  return Array.from({ length: rows + 1 }, (_, r) => {
    const t = r / rows;
    const from = cut.from;
    const y = from + (Math.max(end, from + 0.001) - from) * (1 - Math.cos((t * Math.PI) / 2));
    const held = Math.min(y, hang);
    const s = head.section(held);
    const height = Math.min(1, Math.max(0, (held - head.topY) / -head.topY));
    // Ends lie on the skin unless they hang; the crown stands off by the style's height.
    const lie = inFront > 0 && !cut.hanging ? 1 - 0.85 * t ** 3 * Math.min(1, inFront * 3) : 1;
    const up = cut.top * (1 - height) ** 0.7 * (1 - t * 0.3);
    const curl = cut.curl * Math.sin(index * 2.4 + r * 2.1 + hair.seed);
    const wave = y > hang ? Math.sin(y * 4.2 + index * 0.5) * 0.05 * hair.wave : 0;
    const flare = y > hang ? 1 + 0.09 * Math.min(1.2, y - hang) * (hair.volume - 0.4) : 1;
    const rad = (angle * Math.PI) / 180;
    const depth = Math.cos(rad) > 0 ? s.front + (cut.front + 0.015) * lie : (s.back + cut.back) * (y > 0.9 ? 0.86 : 1);
    const side = s.width * (0.16 * Math.sqrt(Math.max(0, 1 - height)) + 1);
    return [
      (side + cut.sides * lie + 0.015 + curl + wave) * flare * Math.sin(rad),
      y - up - Math.abs(curl) * (1 - height),
      s.middle + (depth + curl) * Math.cos(rad),
    ];
  });
}

/** How low hair reaches at an angle, from the front line over temple and ear to the nape. */
function endOf(cut: Cut, { hair }: Identity, angle: number): number {
  const a = Math.abs(angle);
  const slant = cut.slant * hair.side * (angle / 45);
  const stops: readonly (readonly [number, number])[] = [
    [0, cut.line],
    [34, cut.line + 0.03],
    [56, cut.temple],
    [72, cut.temple + (cut.ear - cut.temple) * 0.75],
    [84, cut.ear],
    [104, cut.ear + (cut.ear > 0.4 ? 0 : -0.1)],
    [128, cut.nape],
    [180, cut.nape + 0.03],
  ];
  const i = stops.findIndex(([to]) => a <= to);
  if (i <= 0) return cut.line;
  const [a0, y0] = stops[i - 1] as [number, number];
  const [a1, y1] = stops[i] as [number, number];
  const t = (a - a0) / (a1 - a0);
  const smooth = t * t * (3 - 2 * t);
  return y0 + (y1 - y0) * smooth - (a < 56 ? slant * (1 - a / 56) + Math.abs(cut.slant) * 0.3 * (1 - a / 56) : 0);
}

/** Lines of lighter and darker hair, which also show how it falls. */
function strands({ hair }: Identity, shown: readonly (readonly Point3[])[]): string {
  if (hair.style === 'afro') return '';
  const scarf = hair.style === 'scarf';
  const draw = drawFrom(hair.seed + 1);
  let light = '';
  let dark = '';
  for (let c = 0; c < columns; c += scarf ? 5 : 1) {
    const ring = shown[c] as readonly Point3[];
    const visible = ring.filter((p) => p[2] > -0.15).slice(1);
    if (visible.length < 3 || draw.chance(0.35)) continue;
    if (draw.chance(0.5)) light += curve(visible.slice(0, Math.max(3, visible.length - draw.whole(3))));
    else dark += curve(visible.slice(draw.whole(3)).concat());
  }
  const lighter = css(mix(shade(hair.colour, 1.25), [255, 240, 220], 0.1));
  return (light ? line(light, lighter, 0.025, 0.4) : '') + (dark ? line(dark, css(shade(hair.colour, 0.6)), 0.022, 0.45) : '');
}

function bunOf({ hair, head }: Identity, cut: Cut, project: Project, hairFill: string): string {
  if (hair.style !== 'bun') return '';
  const size = 0.3 + 0.12 * hair.volume;
  const high = hair.wave > 0.4;
  const [x, y] = project(high ? [0, -head.top - cut.top - size * 0.45, -0.35] : [0, -0.35, -1.2 - size * 0.6]);
  const round = Array.from({ length: 12 }, (_, i) => [
    x + size * Math.cos((i * Math.PI) / 6),
    y + size * 0.9 * Math.sin((i * Math.PI) / 6),
  ]);
  return fill(curve(round, true), hairFill);
}

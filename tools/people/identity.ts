import { hsl, mix, type Rgb, skinColour } from './colour.ts';
import { type Draw, drawFrom } from './random.ts';

export const hairStyles = [
  'crop',
  'side-part',
  'quiff',
  'curls',
  'afro',
  'fringe',
  'bob',
  'long',
  'long-waves',
  'bun',
  'receding',
  'crown-bald',
  'bald',
  'scarf',
] as const;
export type HairStyle = (typeof hairStyles)[number];
export const beardStyles = ['none', 'stubble', 'moustache', 'goatee', 'short', 'full'] as const;
export type BeardStyle = (typeof beardStyles)[number];
export const glassesStyles = ['none', 'round', 'square', 'wide', 'half'] as const;
export type GlassesStyle = (typeof glassesStyles)[number];

/**
 * What makes a person that person, in every picture. Lengths are in half head widths (about 7 cm), measured from the
 * middle between the eyes, y downwards; the rest are shares of 0 to 1 or factors around 1.
 */
export interface Identity {
  readonly head: { width: number; top: number; cheek: number; jaw: number; jawY: number; chin: number; chinY: number; depth: number };
  readonly skin: { colour: Rgb; blush: number; freckles: number; spots: readonly (readonly [x: number, y: number, radius: number])[] };
  readonly eyes: {
    apart: number;
    y: number;
    width: number;
    open: number;
    tilt: number;
    crease: number;
    iris: Rgb;
    irisSize: number;
    lashes: number;
    bags: number;
  };
  readonly brows: { y: number; length: number; thick: number; arch: number; tilt: number; gap: number };
  readonly nose: { tipY: number; bridge: number; wings: number; out: number; up: number; ball: number };
  readonly mouth: { y: number; width: number; upper: number; lower: number; bow: number; droop: number };
  readonly ears: { size: number; out: number; y: number; ring: boolean };
  readonly hair: { style: HairStyle; colour: Rgb; volume: number; line: number; length: number; side: 1 | -1; wave: number; seed: number };
  readonly beard: { style: BeardStyle; colour: Rgb; density: number; length: number };
  readonly glasses: { style: GlassesStyle; colour: Rgb; size: number; thick: number };
  /** Lines of age, 0 to 1. */
  readonly lines: { brow: number; cheek: number; eyes: number };
  readonly body: { shoulders: number; neck: number; slope: number; height: number };
}

const hairColours: readonly Rgb[] = [
  [22, 18, 17],
  [38, 27, 22],
  [66, 42, 29],
  [98, 62, 38],
  [146, 98, 56],
  [196, 152, 92],
  [222, 190, 134],
  [138, 62, 30],
  [172, 78, 36],
];
const irises: readonly Rgb[] = [
  [62, 38, 22],
  [84, 54, 30],
  [112, 80, 44],
  [92, 104, 62],
  [84, 128, 112],
  [92, 132, 168],
  [120, 134, 146],
];

/** The person of a seed. People of different seeds differ in build as well as in colour; any whole number will do. */
export function identityOf(seed: number): Identity {
  const draw = drawFrom(seed);
  const womanly = draw.chance(0.5);
  const age = draw();
  const dark = draw();
  const grey = Math.max(0, (age - 0.62) * 2.4) * draw();
  const natural = draw.chance(dark > 0.45 ? 0.85 : 0.25) ? draw.of(hairColours.slice(0, 3)) : draw.of(hairColours);
  const hairColour = mix(natural, [176, 174, 172], Math.min(1, grey * 1.5));
  const faceBuild = buildOf(draw, womanly, age, dark);
  return {
    ...faceBuild,
    skin: {
      colour: skinColour(dark, draw.between(-1, 1)),
      blush: draw.between(0, womanly ? 0.9 : 0.6),
      freckles: dark < 0.45 && draw.chance(0.18) ? draw.between(0.4, 1) : 0,
      spots: Array.from(
        { length: draw.chance(0.3) ? 1 + draw.whole(2) : 0 },
        () => [draw.between(-0.6, 0.6), draw.between(-0.4, 1), draw.between(0.022, 0.05)] as const,
      ),
    },
    hair: hairOf(draw, womanly, age, hairColour),
    beard: {
      style: womanly || age < 0.1 ? 'none' : draw.chance(0.45) ? 'none' : draw.of(beardStyles),
      colour: mix(hairColour, [120, 112, 106], grey * 0.4),
      density: draw.between(0.55, 1),
      length: draw.between(0, 1),
    },
    glasses: {
      style: draw.chance(0.28) ? draw.of(glassesStyles.slice(1)) : 'none',
      colour: draw.chance(0.6)
        ? draw.of([
            [28, 28, 32],
            [70, 44, 28],
            [120, 122, 128],
          ] as const)
        : hsl(draw.between(0, 360), 0.55, 0.33),
      size: draw.between(0.85, 1.2),
      thick: draw.between(0.028, 0.085),
    },
    lines: {
      brow: age > 0.45 ? draw.between(0, (age - 0.3) * 1.3) : 0,
      cheek: age > 0.3 ? draw.between(0, age) : 0,
      eyes: age > 0.45 ? draw.between(0, age) : 0,
    },
    body: {
      shoulders: draw.near(womanly ? 1.9 : 2.3, 0.16),
      neck: draw.near(womanly ? 0.5 : 0.64, 0.05),
      slope: draw.between(0.15, 0.5),
      height: draw.near(womanly ? 17.2 : 18.4, 0.7),
    },
  };
}

type Build = Pick<Identity, 'head' | 'eyes' | 'brows' | 'nose' | 'mouth' | 'ears'>;

/** The shape of the face: what stays when somebody dyes their hair. */
function buildOf(draw: Draw, womanly: boolean, age: number, dark: number): Build {
  const width = draw.near(0.98, 0.055);
  const cheek = draw.near(0.95, 0.06) * width;
  const long = draw.near(0, 1);
  const chinY = 1.24 + 0.075 * long + (womanly ? -0.04 : 0.03);
  const eyeTilt = draw.near(0.012, 0.03);
  return {
    head: {
      width,
      top: draw.near(1.28, 0.07),
      cheek,
      jaw: Math.min(cheek, draw.near(womanly ? 0.7 : 0.78, 0.085) * width),
      jawY: draw.near(0.8, 0.05),
      chin: draw.near(womanly ? 0.33 : 0.43, 0.09),
      chinY,
      depth: draw.near(1, 0.05),
    },
    eyes: {
      apart: draw.near(0.395, 0.034),
      y: draw.near(0, 0.035),
      width: draw.near(0.218, 0.024),
      open: draw.near(womanly ? 0.112 : 0.098, 0.02),
      tilt: eyeTilt,
      crease: draw.between(0, 1),
      iris: draw.of(dark > 0.45 ? irises.slice(0, 3) : irises),
      irisSize: draw.near(0.098, 0.008),
      lashes: womanly ? draw.between(0.3, 1) : draw.between(0, 0.3),
      bags: draw.between(0, 0.3 + age * 0.7),
    },
    brows: {
      y: draw.near(-0.265, 0.04),
      length: draw.near(0.27, 0.035),
      thick: Math.max(0.02, draw.near(womanly ? 0.042 : 0.064, 0.018)),
      arch: draw.near(womanly ? 0.07 : 0.045, 0.032),
      tilt: draw.near(-0.06, 0.1),
      gap: draw.near(0.035, 0.026),
    },
    nose: {
      tipY: draw.near(0.46, 0.062),
      bridge: draw.near(0.1, 0.022),
      wings: draw.near(womanly ? 0.185 : 0.215, 0.036),
      out: draw.near(0.26, 0.06),
      up: draw.near(0, 1),
      ball: draw.between(0, 1),
    },
    mouth: {
      y: Math.min(chinY - 0.3, draw.near(0.82, 0.05) + (chinY - 1.24) * 0.5),
      width: draw.near(0.335, 0.05),
      upper: Math.max(0.022, draw.near(0.062, 0.02)),
      lower: Math.max(0.035, draw.near(0.085, 0.024)),
      bow: draw.between(0, 1),
      droop: draw.near(0, 0.025),
    },
    ears: { size: draw.near(1, 0.13), out: draw.between(0.1, 0.75), y: draw.near(0.16, 0.05), ring: womanly && draw.chance(0.4) },
  };
}

const manly: readonly HairStyle[] = [
  'crop',
  'crop',
  'side-part',
  'quiff',
  'curls',
  'afro',
  'fringe',
  'receding',
  'crown-bald',
  'bald',
  'long',
];
const female: readonly HairStyle[] = [
  'bob',
  'bob',
  'long',
  'long',
  'long-waves',
  'bun',
  'fringe',
  'curls',
  'afro',
  'scarf',
  'crop',
  'side-part',
];

function hairOf(draw: Draw, womanly: boolean, age: number, colour: Rgb): Identity['hair'] {
  let style = draw.of(womanly ? female : manly);
  if (age < 0.3 && (style === 'receding' || style === 'crown-bald')) style = 'crop';
  return {
    style,
    colour: style === 'scarf' ? hsl(draw.between(0, 360), draw.between(0.1, 0.5), draw.between(0.25, 0.75)) : colour,
    volume: draw.between(0.5, 1.5),
    line: draw.near(-0.72, 0.075),
    length: draw.between(0.9, 2.6),
    side: draw.chance(0.5) ? 1 : -1,
    wave: draw.between(0, 1),
    seed: draw.whole(1 << 30),
  };
}

/**
 * Somebody who could be taken for `person`: the same hair, colouring, beard and glasses, on a face built differently.
 * `share` says how far the build goes over to the stranger's; 0.6 fools a glance, 0 is the same person.
 */
export function lookAlikeOf(person: Identity, seed: number, share = 0.6): Identity {
  const stranger = identityOf(seed);
  const build = { head: person.head, eyes: person.eyes, brows: person.brows, nose: person.nose, mouth: person.mouth, ears: person.ears };
  return { ...person, ...(blend(build, { ...stranger }, share) as typeof build), skin: { ...person.skin, spots: stranger.skin.spots } };
}

/** Numbers go part of the way from `a` to `b`; everything else, colours too, stays `a`'s. */
function blend(a: unknown, b: unknown, share: number): unknown {
  if (typeof a === 'number' && typeof b === 'number') return a + (b - a) * share;
  if (Array.isArray(a) || typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a;
  return Object.fromEntries(Object.entries(a).map(([key, value]) => [key, blend(value, (b as Record<string, unknown>)[key], share)]));
}

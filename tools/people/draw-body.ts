import { css, hsl, mix, type Rgb, shade } from './colour.ts';
import type { Identity } from './identity.ts';
import { curve, fill, line, polygon } from './pen.ts';
import { drawFrom } from './random.ts';
import type { View } from './view.ts';

/** Where the neck meets the shoulders, and where a bust ends. */
const collarY = 1.72;
export const bustEndsY = 3.3;

/** Neck and clothes, below and behind the head. */
export function drawBody(person: Identity, view: View, skinFill: string, skinDark: string): string {
  const { shoulders, neck, slope } = person.body;
  const draw = drawFrom(view.outfit);
  const cloth: Rgb = draw.chance(0.4)
    ? hsl(0, 0, draw.between(0.12, 0.9))
    : hsl(draw.between(0, 360), draw.between(0.2, 0.65), draw.between(0.22, 0.68));
  const under: Rgb = draw.chance(0.5) ? [238, 238, 234] : mix(cloth, [255, 255, 255], 0.45);
  const collar = draw.whole(4);
  const turned = 0.72 + 0.28 * Math.abs(Math.cos((view.yaw * 0.6 * Math.PI) / 180));
  const w = shoulders * turned;
  const lean = Math.sin((view.yaw * Math.PI) / 180) * 0.08;
  const torsoEnd = view.framing === 'full' ? person.body.height * 0.47 : bustEndsY + 0.3;
  const hip = view.framing === 'full' ? w * 0.74 : w * 1.02;
  const right = [
    [neck * 1.05, collarY - 0.12],
    [w * 0.62, collarY + 0.1 + slope * 0.25],
    [w * 0.93, collarY + 0.28 + slope * 0.5],
    [w, collarY + 0.75 + slope * 0.5],
    [view.framing === 'full' ? w * 0.8 : w, Math.min(torsoEnd, collarY + 2.2)],
    [hip, torsoEnd],
  ];
  const left = right.map(([x, y]) => [-(x as number), y as number]);
  const torso = `${curve([...right])}${curve([...left].reverse()).replace('M', 'L')}L0 ${collarY + 0.25}Z`;
  const neckShape = curve(
    [
      [-neck + lean, 0.6],
      [-neck * 0.95 + lean * 0.5, 1.35],
      [-neck * 1.25, collarY + 0.05],
      [0, collarY + 0.55],
      [neck * 1.25, collarY + 0.05],
      [neck * 0.95 + lean * 0.5, 1.35],
      [neck + lean, 0.6],
    ],
    true,
  );
  const shadow = curve([
    [-neck * 0.95 + lean, 1.02],
    [lean * 2, 1.62],
    [neck * 0.95 + lean, 1.02],
  ]);
  const v = collarY + (collar === 0 ? 0.28 : collar === 1 ? 0.85 : 0.5);
  const opening = curve(
    [
      [-neck * 1.12, collarY - 0.1],
      [-neck * (collar === 1 ? 0.55 : 0.95), (v + collarY) / 2],
      [0, v],
      [neck * (collar === 1 ? 0.55 : 0.95), (v + collarY) / 2],
      [neck * 1.12, collarY - 0.1],
    ],
    false,
  );
  const back = Math.abs(view.yaw) > 100;
  const front = back
    ? line(
        curve([
          [-neck * 1.1, collarY - 0.06],
          [0, collarY + 0.06],
          [neck * 1.1, collarY - 0.06],
        ]),
        css(shade(cloth, 0.8)),
        0.1,
      )
    : fill(opening, collar === 2 ? css(under) : skinFill) + collarOf(collar, neck, v, cloth, under);
  // A headscarf is wound below the chin.
  const scarf =
    person.hair.style === 'scarf' && !back
      ? fill(
          curve(
            [
              [-w * 0.55, collarY + 0.35],
              [-0.9, 0.7],
              [-0.4, 1.05],
              [0.4, 1.05],
              [0.9, 0.7],
              [w * 0.55, collarY + 0.35],
              [0, collarY + 0.55],
            ],
            true,
          ),
          css(shade(person.hair.colour, 0.86)),
        )
      : '';
  const limbs =
    view.framing === 'full'
      ? legsOf(
          person,
          view,
          draw.of([
            [44, 50, 66],
            [66, 62, 56],
            [38, 38, 40],
            [120, 108, 88],
          ] as const),
          torsoEnd,
          w,
        )
      : '';
  const arms = view.framing === 'full' ? armsOf(person, view, cloth, css(person.skin.colour), w) : sleeves(w, slope, cloth);
  const folds = line(
    `M${-w * 0.25} 2.6L${-w * 0.2} ${Math.min(torsoEnd, 4.4)}M${w * 0.3} 2.8L${w * 0.24} ${Math.min(torsoEnd, 4.2)}`,
    css(shade(cloth, 0.8)),
    0.05,
    0.5,
  );
  return `${limbs}${fill(neckShape, skinFill)}${fill(shadow, skinDark, 0.6)}${fill(torso, css(cloth))}${folds}${front}${arms}${scarf}`;
}

function collarOf(kind: number, neck: number, v: number, cloth: Rgb, under: Rgb): string {
  const edge = css(shade(cloth, 0.7));
  const rim = curve([
    [-neck * 1.12, collarY - 0.1],
    [-neck * (kind === 1 ? 0.55 : 0.95), (v + collarY) / 2],
    [0, v],
    [neck * (kind === 1 ? 0.55 : 0.95), (v + collarY) / 2],
    [neck * 1.12, collarY - 0.1],
  ]);
  if (kind < 2) return line(rim, edge, 0.07);
  const wing = (s: number): string =>
    fill(
      polygon([
        [s * neck * 1.1, collarY - 0.16],
        [s * neck * 0.35, collarY + 0.62],
        [0, v],
        [s * neck * 0.75, collarY + 0.02],
      ]),
      css(kind === 2 ? under : shade(cloth, 1.12)),
    );
  return wing(1) + wing(-1) + (kind === 3 ? line(`M0 ${v}L0 3.6`, edge, 0.04) : '');
}

const sleeves = (w: number, slope: number, cloth: Rgb): string =>
  line(
    `M${-w * 0.72} ${collarY + 1 + slope * 0.5}L${-w * 0.74} ${bustEndsY + 0.3}M${w * 0.72} ${collarY + 1 + slope * 0.5}L${w * 0.74} ${bustEndsY + 0.3}`,
    css(shade(cloth, 0.72)),
    0.05,
    0.7,
  );

/** Arms swing against the legs. */
function armsOf({ body }: Identity, view: View, cloth: Rgb, skin: string, w: number): string {
  const swing = Math.sin(view.stride * 2 * Math.PI) * 0.35;
  return [-1, 1]
    .map((s) => {
      const [x, y] = [s * w * 0.9, collarY + 0.65 + body.slope * 0.5];
      const elbow = [x + s * 0.2, y + 2.6];
      const hand = [x + s * 0.12 + swing * s * 0.6, y + 4.9 - Math.abs(swing) * 0.5];
      const sleeve = line(curve([[x, y], elbow, hand]), css(shade(cloth, s > 0 ? 0.9 : 0.96)), 0.62);
      return `<circle cx="${hand[0]}" cy="${(hand[1] as number) + 0.3}" r="0.3" fill="${skin}"/>${sleeve}`;
    })
    .join('');
}

function legsOf({ body }: Identity, view: View, colour: Rgb, from: number, w: number): string {
  const swing = Math.sin(view.stride * 2 * Math.PI);
  const floor = body.height;
  const leg = (s: number): string => {
    const lift = Math.max(0, s * swing) * 0.55;
    const x = s * w * 0.34;
    const knee = [x + s * 0.06, (from + floor) / 2 - lift * 0.6];
    const foot = [x + s * 0.02, floor - 0.85 - lift];
    const trouser = line(curve([[x * 0.95, from - 0.5], knee, foot]), css(shade(colour, s * swing > 0 ? 0.85 : 1)), 0.98);
    return `${trouser}<ellipse cx="${(foot[0] as number) + s * 0.08}" cy="${(foot[1] as number) + 0.55}" rx="0.52" ry="0.3" fill="#26221f"/>`;
  };
  const hips = line(`M${-w * 0.36} ${from - 0.1}L${w * 0.36} ${from - 0.1}`, css(colour), 1.1);
  return leg(-1) + leg(1) + hips;
}

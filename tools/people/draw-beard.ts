import { css, shade } from './colour.ts';
import { facing, mouthCorner, on, type Sitter } from './draw-features.ts';
import { curve, fill, line } from './pen.ts';
import { drawFrom } from './random.ts';

/** Beard and moustache, clipped to the face by the caller except for what hangs below the chin. */
export function drawBeard(sitter: Sitter, jawDrop: number): string {
  const { person, view, head } = sitter;
  const { beard, mouth, nose } = person;
  if (beard.style === 'none' || facing(sitter, 0, mouth.y) < 0.05) return '';
  const place = on(sitter);
  const colour = css(beard.colour);
  const corner = mouthCorner(person, view, jawDrop, 1);
  const [w, cy] = [corner[0], corner[1]];
  const lipTop = mouth.y - mouth.upper - 0.03;
  const moustache = (): string => {
    const wide = w + 0.05;
    const up = [-1, -0.5, 0, 0.5, 1].map((u) => place(u * wide, Math.abs(u) === 1 ? cy : nose.tipY + 0.145 + Math.abs(u) * 0.05, 0.06));
    const down = [0.55, 0, -0.55].map((u) => place(u * wide, lipTop + 0.035 + Math.abs(u) * 0.03, 0.06));
    return fill(curve([...up, ...down], true), colour, beard.density);
  };
  const chinPatch = (wide: number, from: number): string => {
    const down = jawDrop + beard.length * 0.12;
    return fill(
      curve(
        [
          place(-wide, cy + from, 0.02),
          place(-wide * 0.4, mouth.y + mouth.lower + 0.1 + jawDrop, 0.04),
          place(wide * 0.4, mouth.y + mouth.lower + 0.1 + jawDrop, 0.04),
          place(wide, cy + from, 0.02),
          place(wide * 0.8, head.chinY - 0.06, 0.02),
          lowered(place(0, head.chinY - 0.01, 0.02), down),
          place(-wide * 0.8, head.chinY - 0.06, 0.02),
        ],
        true,
      ),
      colour,
      beard.density,
    );
  };
  if (beard.style === 'moustache') return moustache();
  if (beard.style === 'goatee') return moustache() + chinPatch(w + 0.04, 0.02);
  return whole(sitter, jawDrop, colour) + (beard.style === 'stubble' ? '' : moustache());
}

const lowered = (p: readonly [number, number, number], by: number): readonly [number, number, number] => [p[0], p[1] + by, p[2]];

/** From ear to ear along the jaw. */
function whole(sitter: Sitter, jawDrop: number, colour: string): string {
  const { person, view, head, project } = sitter;
  const { beard, mouth } = person;
  const [w, cy] = mouthCorner(person, view, jawDrop, 1);
  const place = on(sitter);
  const stubble = beard.style === 'stubble';
  const cheekY = 0.56 + 0.14 * (1 - beard.density);
  const grown = beard.style === 'full' ? 0.08 + 0.22 * beard.length : beard.style === 'short' ? 0.03 : 0;
  const upper = [
    project(head.around(-84, 0.12, 0.03)),
    project(head.around(-70, 0.34, 0.02)),
    place(-w - 0.22, cheekY, 0.015),
    place(-w - 0.03, cy - 0.1, 0.02),
    ...(stubble ? [place(-w * 0.5, mouth.y - mouth.upper - 0.06, 0.02), place(w * 0.5, mouth.y - mouth.upper - 0.06, 0.02)] : []),
    ...(stubble
      ? []
      : [place(-w * 0.75, mouth.y + mouth.lower + 0.03 + jawDrop, 0.02), place(w * 0.75, mouth.y + mouth.lower + 0.03 + jawDrop, 0.02)]),
    place(w + 0.03, cy - 0.1, 0.02),
    place(w + 0.22, cheekY, 0.015),
    project(head.around(70, 0.34, 0.02)),
    project(head.around(84, 0.12, 0.03)),
  ];
  const angles = [86, 66, 44, 22, 0, -22, -44, -66, -86];
  const jaw = angles.map((angle) => {
    const low = head.chinY - 0.02 - 0.5 * (Math.abs(angle) / 86) ** 2.2;
    const p = project(head.around(angle, low, grown * 0.4));
    return [p[0], p[1] + grown * (1 - (Math.abs(angle) / 95) ** 2)] as const;
  });
  const body = fill(curve([...upper, ...jaw], true), colour, stubble ? 0.16 + 0.2 * beard.density : beard.density);
  if (stubble) return body;
  const draw = drawFrom(Math.round(beard.length * 1e6));
  let hairs = '';
  for (let i = 0; i < 16; i++) {
    const angle = draw.between(-60, 60);
    const a = project(head.around(angle, head.chinY - draw.between(0.12, 0.4), 0.03));
    hairs += `M${a[0].toFixed(3)} ${a[1].toFixed(3)}l${(draw.between(-0.03, 0.03)).toFixed(3)} ${(0.1 + grown * 0.5).toFixed(3)}`;
  }
  return body + line(hairs, css(shade(beard.colour, 1.45)), 0.02, 0.45);
}

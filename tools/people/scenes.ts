import { css, hsl, type Rgb, shade, skinColour } from './colour.ts';
import { type Draw, drawFrom } from './random.ts';

export const sceneWidth = 1920;
export const sceneHeight = 1080;

/**
 * A place without people, as an SVG of 1920 x 1080: a room or a street, furnished from the seed. It holds things that
 * could be taken for faces (clocks, balls, plush bears, posters with round shapes), so that nobody does; a `calm` place
 * holds fewer things and none of those.
 */
export function sceneOf(seed: number, calm = false): string {
  const draw = drawFrom(seed ^ 0x2f9a11);
  const horizon = draw.between(480, 800);
  const wall = hsl(draw.between(0, 360), draw.between(0.02, 0.3), draw.between(0.25, 0.85));
  const floor = hsl(draw.between(10, 70), draw.between(0.02, 0.25), draw.between(0.2, 0.65));
  const parts = draw.chance(0.5) ? street(draw, horizon) : room(draw, horizon, wall);
  const things = Array.from({ length: calm ? 4 : 6 + draw.whole(14) }, () => thing(draw, horizon, calm)).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${sceneWidth}" height="${sceneHeight}"><defs><linearGradient id="w" x1="0" y1="0" x2="${draw.between(-0.4, 0.4)}" y2="1"><stop offset="0" stop-color="${css(shade(wall, 1.15))}"/><stop offset="1" stop-color="${css(shade(wall, 0.75))}"/></linearGradient><linearGradient id="f" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${css(shade(floor, 0.8))}"/><stop offset="1" stop-color="${css(shade(floor, 1.15))}"/></linearGradient></defs>
<rect width="1920" height="${horizon}" fill="url(#w)"/><rect y="${horizon}" width="1920" height="${1080 - horizon}" fill="url(#f)"/>${tiles(draw, horizon)}${parts}${things}</svg>`;
}

const rect = (x: number, y: number, w: number, h: number, colour: string, opacity = 1): string =>
  `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${w.toFixed(1)}" height="${h.toFixed(1)}" fill="${colour}" fill-opacity="${opacity}"/>`;
const oval = (x: number, y: number, rx: number, ry: number, colour: string): string =>
  `<ellipse cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" rx="${rx.toFixed(1)}" ry="${ry.toFixed(1)}" fill="${colour}"/>`;
const any = (draw: Draw, low = 0.15, high = 0.8): Rgb => hsl(draw.between(0, 360), draw.between(0.05, 0.6), draw.between(low, high));

function tiles(draw: Draw, horizon: number): string {
  if (draw.chance(0.3)) return '';
  const [count, vanish] = [6 + draw.whole(14), draw.between(500, 1400)];
  let d = '';
  for (let i = -count; i <= count * 2; i++)
    d += `M${vanish + ((i - count / 2) * 500) / count} ${horizon}L${vanish + ((i - count / 2) * 5200) / count} 1080`;
  for (let i = 1; i < 9; i++) d += `M0 ${horizon + (1080 - horizon) * (i / 9) ** 2}H1920`;
  return `<path d="${d}" stroke="#000" stroke-opacity="${draw.between(0.08, 0.3)}" stroke-width="3"/>`;
}

function street(draw: Draw, horizon: number): string {
  let out = '';
  for (let x = -80; x < 1920; ) {
    const [w, h] = [draw.between(180, 520), draw.between(200, horizon)];
    const front = any(draw, 0.25, 0.75);
    out += rect(x, horizon - h, w, h, css(front));
    const [nx, ny] = [1 + draw.whole(6), 1 + draw.whole(6)];
    const glass = css(draw.chance(0.5) ? shade(front, 0.5) : [150, 180, 200]);
    for (let i = 0; i < nx; i++)
      for (let j = 0; j < ny; j++)
        out += rect(x + ((i + 0.25) * w) / nx, horizon - h + ((j + 0.25) * h) / ny, (w / nx) * 0.5, (h / ny) * 0.5, glass, 0.85);
    x += w + (draw.chance(0.4) ? draw.between(0, 160) : 0);
  }
  for (let i = draw.whole(5); i > 0; i--) out += tree(draw, draw.between(0, 1920), horizon + draw.between(0, 60));
  for (let i = draw.whole(3); i > 0; i--) out += car(draw, draw.between(0, 1700), horizon + draw.between(10, 160));
  return out;
}

function tree(draw: Draw, x: number, y: number): string {
  const size = draw.between(60, 190);
  const leaf = hsl(draw.between(70, 140), draw.between(0.2, 0.5), draw.between(0.2, 0.45));
  let out = rect(x - size * 0.08, y - size * 1.5, size * 0.16, size * 1.5, '#5a4230');
  for (let i = 0; i < 9; i++)
    out += oval(
      x + draw.between(-0.6, 0.6) * size,
      y - size * draw.between(1.3, 2.4),
      size * draw.between(0.25, 0.5),
      size * draw.between(0.25, 0.45),
      css(shade(leaf, draw.between(0.75, 1.2))),
    );
  return out;
}

function car(draw: Draw, x: number, y: number): string {
  const s = draw.between(0.7, 1.6);
  const colour = css(any(draw));
  return `<g transform="translate(${x} ${y}) scale(${s})"><path d="M0 0V-50Q5 -62 40 -64L75 -104H190L232 -62Q268 -58 270 -40V0Z" fill="${colour}"/><path d="M84 -96H128V-64H58ZM136 -96H184L214 -64H136Z" fill="#9fb4c0"/><circle cx="58" r="27" fill="#222"/><circle cx="212" r="27" fill="#222"/><circle cx="58" r="13" fill="#999"/><circle cx="212" r="13" fill="#999"/></g>`;
}

function room(draw: Draw, horizon: number, wall: Rgb): string {
  let out = rect(0, horizon - 26, 1920, 26, css(shade(wall, 0.6)));
  for (let i = 1 + draw.whole(4); i > 0; i--) {
    const [x, y, w, h] = [draw.between(0, 1700), draw.between(30, 260), draw.between(120, 380), draw.between(120, 320)];
    const frame = css(shade(wall, draw.between(0.4, 1.3)));
    out += rect(x - 12, y - 12, w + 24, h + 24, frame) + rect(x, y, w, h, css(any(draw, 0.4, 0.9))) + rect(x + w / 2 - 4, y, 8, h, frame);
  }
  for (let i = draw.whole(3); i > 0; i--) {
    const [x, w] = [draw.between(0, 1700), draw.between(130, 220)];
    out += rect(x, horizon - w * 2.1, w, w * 2.1, css(any(draw, 0.2, 0.6))) + oval(x + w * 0.86, horizon - w, 9, 9, '#c9b458');
  }
  if (draw.chance(0.5)) {
    const [x, y] = [draw.between(100, 1500), horizon + draw.between(20, 200)];
    out +=
      rect(x, y - 150, draw.between(200, 500), 120, css(any(draw))) +
      rect(x + 20, y - 30, 18, 90, '#3a2c20') +
      rect(x + 170, y - 30, 18, 90, '#3a2c20');
  }
  return out;
}

/** One of the things that stand or hang about, some of them near to a face in shape or colour. */
function thing(draw: Draw, horizon: number, calm: boolean): string {
  const [x, y, s] = [draw.between(0, 1920), draw.between(60, 1040), draw.between(16, 130)];
  const colour = any(draw);
  const flesh = skinColour(draw(), draw.between(-1, 1));
  const kind = calm ? draw.of([4, 5, 8, 9] as const) : draw.whole(11);
  switch (kind) {
    case 0: {
      const hand = (angle: number, length: number): string => `M${x} ${y}l${Math.cos(angle) * length} ${Math.sin(angle) * length}`;
      return `${oval(x, y, s, s, '#333')}${oval(x, y, s * 0.88, s * 0.88, '#f2efe6')}<path d="${hand(draw() * 6.28, s * 0.5)}${hand(draw() * 6.28, s * 0.75)}" stroke="#222" stroke-width="${s * 0.07}"/>`;
    }
    case 1:
      return oval(x, y, s, s, css(colour)) + oval(x - s * 0.3, y - s * 0.3, s * 0.25, s * 0.2, '#ffffff');
    case 2: {
      // A plush bear: eyes, snout and ears, and yet nobody.
      const fur = css(draw.chance(0.6) ? hsl(draw.between(15, 40), 0.4, draw.between(0.25, 0.6)) : colour);
      return `${oval(x - s * 0.7, y - s * 0.75, s * 0.35, s * 0.35, fur)}${oval(x + s * 0.7, y - s * 0.75, s * 0.35, s * 0.35, fur)}${oval(x, y, s, s * 0.9, fur)}${oval(x, y + s * 0.35, s * 0.42, s * 0.33, '#e6d3b4')}${oval(x, y + s * 0.22, s * 0.15, s * 0.1, '#222')}${oval(x - s * 0.36, y - s * 0.15, s * 0.1, s * 0.1, '#222')}${oval(x + s * 0.36, y - s * 0.15, s * 0.1, s * 0.1, '#222')}`;
    }
    case 3:
      return (
        oval(x, y, s * 0.8, s, css(flesh)) + (draw.chance(0.5) ? rect(x - s * 0.8, y - s, s * 1.6, s * 0.6, css(shade(flesh, 0.3))) : '')
      );
    case 4: {
      const w = s * draw.between(1, 3);
      let out = rect(x, y, w, s * 1.3, '#f1eee4');
      for (let i = 0; i < 4; i++) out += rect(x + w * 0.1, y + s * (0.15 + i * 0.28), w * draw.between(0.3, 0.8), s * 0.1, css(colour));
      return out;
    }
    case 5:
      return tree(draw, x, horizon + draw.between(0, 120));
    case 6:
      return rect(x, y, s * draw.between(0.4, 3), s * draw.between(0.4, 3), css(draw.chance(0.4) ? flesh : colour));
    case 7: {
      let d = '';
      for (let i = 0; i < 12; i++) d += `M${x + i * s * 0.3} ${y}v${s * 2}`;
      return `<path d="${d}" stroke="${css(colour)}" stroke-width="${s * 0.09}"/>`;
    }
    case 8:
      return rect(x - s * 0.06, y - s * 4, s * 0.12, s * 4, '#444') + oval(x, y - s * 4, s * 0.35, s * 0.35, '#fff3c4');
    case 9: {
      const font = draw.of(['sans-serif', 'serif', 'monospace']);
      const word = draw.of(['EXIT', 'OPEN 24 h', 'CAFE', 'P 2', 'LIFT', '12', 'NORTH GATE', 'A-17', 'WELCOME']);
      return (
        rect(x, y - s * 0.8, s * word.length * 0.62, s, css(colour)) +
        `<text x="${x + s * 0.1}" y="${y}" font-size="${s * 0.8}" font-family="${font}" fill="#fff">${word}</text>`
      );
    }
    default: {
      // A socket, a fan, a shelf of jars: pairs of round things above another.
      const body = css(shade(colour, 1.2));
      return (
        rect(x - s, y - s, s * 2, s * 2, body) +
        oval(x - s * 0.4, y - s * 0.25, s * 0.18, s * 0.18, '#2b2b2b') +
        oval(x + s * 0.4, y - s * 0.25, s * 0.18, s * 0.18, '#2b2b2b') +
        (draw.chance(0.5) ? rect(x - s * 0.4, y + s * 0.35, s * 0.8, s * 0.12, '#2b2b2b') : '')
      );
    }
  }
}

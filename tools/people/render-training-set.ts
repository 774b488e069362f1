/**
 * Writes what the demo pack's models are trained on: `node tools/people/render-training-set.ts <folder>`.
 * Pixels go to `<name>.bin` (raw, one picture after the other), their facts to `<name>.json`. Nothing is random: the
 * same version of the renderer writes the same bytes.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { trainingPerson } from './cast.ts';
import { drawFrom } from './random.ts';
import { type RenderedFace, rasterise, renderFace } from './render-face.ts';
import { sceneHeight, sceneOf, sceneWidth } from './scenes.ts';
import { frontView, type View, viewOf } from './view.ts';

const viewsEach = 10;
const cropPx = 160;
const cropFacePx = 96;
/** Pictures in work at once: sharp rasterises in its own threads. */
const atOnce = 4;

const [folder = 'people', persons = '4000', figures = '2600', scenes = '130'] = process.argv.slice(2);
/** Runs `make` for every index, a few at a time, and writes the results in order. */
async function writeAll<T>(name: string, count: number, make: (index: number) => Promise<{ pixels: Buffer; facts: T }>): Promise<void> {
  const out = createWriteStream(join(folder, `${name}.bin`));
  const facts: T[] = [];
  const running: ReturnType<typeof make>[] = [];
  const began = Date.now();
  for (let i = 0; i < count + atOnce; i++) {
    if (i < count) running.push(make(i));
    if (i < atOnce) continue;
    const done = await (running.shift() as ReturnType<typeof make>);
    facts.push(done.facts);
    if (!out.write(done.pixels)) await once(out, 'drain');
    if (facts.length % 1000 === 0) process.stdout.write(`${name} ${facts.length}/${count} ${Math.round((Date.now() - began) / 1000)} s\n`);
  }
  out.end();
  await once(out, 'close');
  await writeFile(join(folder, `${name}.json`), JSON.stringify(facts));
}

const rounded = (values: readonly number[]): number[] => values.map((v) => Math.round(v * 100) / 100);

/** Heads cut out at one size with their surroundings, several views of each person. */
async function writeFaces(count: number): Promise<void> {
  await writeAll('faces', count * viewsEach, async (i) => {
    const person = Math.floor(i / viewsEach);
    const draw = drawFrom(7_000_000 + i);
    // The first view is as a photo for the library would be.
    const view =
      i % viewsEach === 0
        ? {
            ...frontView,
            lightFrom: draw(),
            lightHardness: draw.between(0, 0.7),
            outfit: draw.whole(1e6),
            smile: draw.between(-0.1, 0.8),
            yaw: draw.near(0, 5),
            pitch: draw.near(0, 4),
          }
        : viewOf(draw);
    const face = renderFace(trainingPerson(person), view, cropFacePx);
    const middle = [0, 1].map((k) => face.landmarks.reduce((sum, v, j) => sum + (j % 2 === k ? v / 5 : 0), 0)) as [number, number];
    const [left, top] = [Math.round(middle[0] - cropPx / 2), Math.round(middle[1] - cropPx / 2)];
    const pixels = await cut(face, left, top);
    return {
      pixels,
      facts: {
        person,
        covered: view.covering !== 'none',
        yaw: Math.round(view.yaw),
        marks: rounded(face.landmarks.map((v, k) => v - (k % 2 === 0 ? left : top))),
      },
    };
  });
}

async function cut(face: RenderedFace, left: number, top: number): Promise<Buffer> {
  // The crop may reach beyond the picture: move the drawing instead.
  const svg = face.svg.replace(
    /^<svg ([^>]*?)width="\d+" height="\d+">/,
    `<svg $1width="${cropPx}" height="${cropPx}" viewBox="${left} ${top} ${cropPx} ${cropPx}">`,
  );
  return rasterise({ svg });
}

/** People to be put into scenes: busts and whole figures, some seen from behind. Packed one after the other. */
async function writeFigures(count: number): Promise<void> {
  await writeAll('figures', count, async (i) => {
    const draw = drawFrom(9_000_000 + i);
    const full = i % 4 === 3;
    const base: View = { ...viewOf(draw, draw.chance(0.75) ? 1 : 1.25), framing: full ? 'full' : 'bust' };
    const away = draw.chance(0.14);
    const view = away ? { ...base, yaw: draw.between(105, 255) - (draw.chance(0.5) ? 360 : 0) } : base;
    const face = renderFace(trainingPerson(draw.whole(4000)), view, full ? 44 : 128);
    const pixels = await rasterise(face);
    return {
      pixels,
      facts: {
        width: face.widthPx,
        height: face.heightPx,
        full,
        face: face.faceVisible,
        box: rounded([face.box.x, face.box.y, face.box.width, face.box.height]),
        marks: rounded(face.landmarks),
      },
    };
  });
}

async function writeScenes(count: number): Promise<void> {
  await writeAll('scenes', count, async (i) => ({
    pixels: await sharp(Buffer.from(sceneOf(i)))
      .removeAlpha()
      .raw()
      .toBuffer(),
    facts: { width: sceneWidth, height: sceneHeight },
  }));
}

sharp.concurrency(1);
await mkdir(folder, { recursive: true });
await writeScenes(Number(scenes));
await writeFigures(Number(figures));
await writeFaces(Number(persons));

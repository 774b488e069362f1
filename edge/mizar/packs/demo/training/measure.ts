/**
 * Measures the demo pack on people and places it was not trained on, through Mizar's own code, and writes the figures
 * into ../pack.json (thresholds) and ../README.md. After a build:
 *
 *   node edge/mizar/packs/demo/training/measure.ts <work folder> [detector|recognition|both] [share]
 *
 * The parts may be measured one after the other: each leaves its figures in the work folder. `share` below 1 measures
 * less, for a look while training; then nothing is written.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { firstUnseenSeed } from '../../../../../tools/people/cast.ts';
import { identityOf, lookAlikeOf } from '../../../../../tools/people/identity.ts';
import { type Draw, drawFrom } from '../../../../../tools/people/random.ts';
import { renderFace } from '../../../../../tools/people/render-face.ts';
import { sceneHeight, sceneWidth } from '../../../../../tools/people/scenes.ts';
import { frontView, viewOf } from '../../../../../tools/people/view.ts';
import { embedPhoto } from '../../../dist/embed-photo.js';
import type { Detection } from '../../../dist/faces/yunet.js';
import { YuvFrame } from '../../../dist/faces/yuv-frame.js';
import { FaceEngine } from '../../../dist/inference/face-engine.js';
import { InferencePool } from '../../../dist/inference/pool.js';
import { loadPack } from '../../../dist/pack/load-pack.js';
import { type Figures, type Recall, writeFigures } from './figures.ts';
import { type Actor, compose, filmed, type Seen } from './film.ts';

const folder = join(import.meta.dirname, '..');
const [work = '.', part = 'both', shareWanted = '1'] = process.argv.slice(2);
const share = Number(shareWanted);
const some = (count: number): number => Math.max(1, Math.round(count * share));
const sizes = [32, 48, 64, 96, 128];
const framesPerSize = some(30);
const emptyFrames = some(400);
const people = some(1000);
const probesEach = 2;
const lookAlikes = some(200);
const quality = 29;
const scenesFrom = 900_000;

sharp.concurrency(1);
restamp();
const pack = await loadPack(folder);
const engine = await FaceEngine.open(pack);
const pool = await InferencePool.open({ pack, threads: 1, workerFile: join(folder, '..', '..', 'dist', 'inference', 'worker.js') });
const began = Date.now();
const say = (text: string): void => console.log(`${Math.round((Date.now() - began) / 1000)} s  ${text}`);

/** pack.json names the very files that lie beside it. */
function restamp(): void {
  const path = join(folder, 'pack.json');
  const spec = JSON.parse(readFileSync(path, 'utf8'));
  for (const model of [spec.detector, spec.embedder])
    model.sha256 = createHash('sha256')
      .update(readFileSync(join(folder, model.file)))
      .digest('hex');
  writeFileSync(path, `${JSON.stringify(spec, null, 2)}\n`);
}

const cast = (draw: Draw, person: number, facePx: number): Actor => ({
  person,
  identity: identityOf(firstUnseenSeed + person),
  view: { ...viewOf(draw), covering: 'none', framing: facePx <= 80 && draw.chance(0.4) ? 'full' : 'bust' },
  facePx,
});

interface Found {
  readonly picture: YuvFrame;
  readonly seen: readonly Seen[];
  readonly faces: readonly Detection[];
}

/** Composes, films and searches frames, a few at a time: a frame is 6 MB. */
async function* shoot(count: number, actorsOf: (draw: Draw, frame: number) => readonly Actor[], seed: number): AsyncGenerator<Found> {
  for (let from = 0; from < count; from += 12) {
    const frames = Array.from({ length: Math.min(12, count - from) }, (_, i) => from + i);
    const takes = [];
    for (const frame of frames) {
      const draw = drawFrom(seed + frame);
      takes.push(await compose(draw, scenesFrom + seed + frame, actorsOf(draw, frame)));
    }
    const films = await filmed(
      takes.map((t) => t.rgb),
      quality,
    );
    for (const [i, take] of takes.entries()) {
      const picture = new YuvFrame(films[i]!, sceneWidth, sceneHeight, { matrix: 'bt601', fullRange: false });
      yield { picture, seen: take.seen, faces: await engine.detect(picture) };
    }
  }
}

function overlap(a: Seen['box'], b: Detection): number {
  const w = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? (w * h) / (a.width * a.height + b.width * b.height - w * h) : 0;
}

const bestFor = (seen: Seen, faces: readonly Detection[]): Detection | undefined =>
  faces.filter((f) => overlap(seen.box, f) >= 0.4).sort((a, b) => overlap(seen.box, b) - overlap(seen.box, a))[0];

const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;

async function recallOf(facePx: number): Promise<Recall> {
  let shown = 0;
  let found = 0;
  let stray = 0;
  const off: number[] = [];
  const ratio: number[] = [];
  for await (const { picture, seen, faces } of shoot(
    framesPerSize,
    (draw) => Array.from({ length: facePx > 100 ? 5 : 8 }, () => cast(draw, draw.whole(100_000), facePx)),
    facePx * 1000,
  )) {
    for (const one of seen) {
      shown++;
      const face = bestFor(one, faces);
      if (!face) continue;
      found++;
      const { landmarks } = await engine.refine(picture, face);
      const apart = facePx * 0.42;
      for (let k = 0; k < 5; k++)
        off.push(Math.hypot(landmarks[k * 2]! - one.landmarks[k * 2]!, landmarks[k * 2 + 1]! - one.landmarks[k * 2 + 1]!) / apart);
      ratio.push(Math.min(face.width, face.height) / facePx);
    }
    stray += faces.filter((f) => seen.every((s) => overlap(s.box, f) < 0.2)).length;
  }
  return {
    facePx,
    shown,
    found,
    stray,
    landmarksOff: quantile(off, 0.5),
    landmarksOff95: quantile(off, 0.95),
    boxLow: quantile(ratio, 0.01),
    boxHigh: quantile(ratio, 0.99),
  };
}

async function falseAlarms(): Promise<{ frames: number; faces: number; best: number }> {
  let faces = 0;
  let best = 0;
  for await (const found of shoot(emptyFrames, () => [], 400_000)) {
    faces += found.faces.length;
    for (const f of found.faces) best = Math.max(best, f.score);
  }
  return { frames: emptyFrames, faces, best };
}

/** An enrolment photo, as a phone would take it. */
async function enrol(person: number, identity = identityOf(firstUnseenSeed + person)): Promise<Float32Array> {
  const draw = drawFrom(3_000_000 + person);
  const view = {
    ...frontView,
    yaw: draw.near(0, 4),
    pitch: draw.near(0, 3),
    roll: draw.near(0, 2),
    smile: draw.between(0, 0.7),
    lightFrom: draw(),
    lightHardness: draw.between(0.1, 0.6),
    outfit: draw.whole(1e6),
  };
  const face = renderFace(identity, view, 150);
  const jpeg = await sharp(Buffer.from(face.svg))
    .flatten({ background: { r: draw.whole(256), g: draw.whole(256), b: draw.whole(256) } })
    .jpeg({ quality: 88 })
    .toBuffer();
  return (await embedPhoto(pool, pack.spec, jpeg)).embedding;
}

const cosine = (a: Float32Array, b: Float32Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

async function recognition(): Promise<Figures['recognition']> {
  const library: (Float32Array | undefined)[] = [];
  let refused = 0;
  for (let p = 0; p < people; p++) {
    try {
      library.push(await enrol(p));
    } catch {
      refused++;
      library.push(undefined);
    }
  }
  say(`enrolled ${people - refused} of ${people}`);
  const queue = Array.from({ length: people * probesEach }, (_, i) => i % people);
  const frames = Math.ceil(queue.length / 9);
  const same: number[] = [];
  const different: number[] = [];
  const byYaw = new Map<string, number[]>();
  let shown = 0;
  let first = 0;
  for await (const { picture, seen, faces } of shoot(
    frames,
    (draw, frame) => queue.slice(frame * 9, frame * 9 + 9).map((p) => cast(draw, p, draw.between(48, 96))),
    500_000,
  )) {
    for (const one of seen) {
      const own = library[one.person];
      const face = bestFor(one, faces);
      shown++;
      if (!own || !face) continue;
      const { embedding } = await engine.embed(picture, await engine.refine(picture, face));
      const score = cosine(own, embedding);
      same.push(score);
      const turn = Math.abs(one.yaw) < 15 ? '0 to 15' : Math.abs(one.yaw) < 30 ? '15 to 30' : '30 to 50';
      byYaw.set(turn, [...(byYaw.get(turn) ?? []), score]);
      let better = 0;
      for (const [p, other] of library.entries()) {
        if (!other || p === one.person) continue;
        const c = cosine(other, embedding);
        different.push(c);
        if (c >= score) better++;
      }
      if (better === 0) first++;
    }
  }
  different.sort((a, b) => a - b);
  const at = (rate: number): number => different[Math.max(0, different.length - 1 - Math.floor(different.length * rate))]!;
  const rates = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6].map((rate) => ({
    rate,
    threshold: at(rate),
    accepted: same.filter((s) => s > at(rate)).length / same.length,
  }));
  const pairs: number[] = [];
  for (let i = 0; i < lookAlikes; i++) {
    const own = library[i % people];
    if (!own) continue;
    try {
      pairs.push(
        cosine(own, await enrol(50_000 + i, lookAlikeOf(identityOf(firstUnseenSeed + (i % people)), firstUnseenSeed + 200_000 + i))),
      );
    } catch {
      refused++;
    }
  }
  return {
    people,
    shown,
    detected: same.length,
    refused,
    first: first / same.length,
    same: [0.01, 0.05, 0.5].map((q) => quantile(same, q)),
    different: [0.5, 0.99, 0.9999].map((q) => different[Math.floor(different.length * q)]!),
    differentPairs: different.length,
    highestStranger: different[different.length - 1]!,
    rates,
    turned: [...byYaw].sort().map(([degrees, scores]) => ({ degrees, count: scores.length, scores: scores.sort((a, b) => a - b) })),
    lookAlikes: pairs,
  };
}

async function detection(): Promise<Pick<Figures, 'recall' | 'empty'>> {
  const recall: Recall[] = [];
  for (const size of sizes) {
    const r = await recallOf(size);
    recall.push(r);
    say(
      `${size} px: ${r.found}/${r.shown} found, ${r.stray} stray, landmarks off ${r.landmarksOff.toFixed(3)} (95 %: ${r.landmarksOff95.toFixed(3)}), box ${r.boxLow.toFixed(2)} to ${r.boxHigh.toFixed(2)}`,
    );
  }
  const empty = await falseAlarms();
  say(`empty frames: ${empty.faces} faces in ${empty.frames}, best score ${empty.best.toFixed(2)}`);
  return { recall, empty };
}

/** Measures a part anew, or takes what an earlier run left. */
async function measured<T>(name: string, measure: () => Promise<T>): Promise<T | undefined> {
  const path = join(work, `${name}-${share}.json`);
  if (part === name || part === 'both') writeFileSync(path, JSON.stringify(await measure()));
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined;
}

const found = await measured('detector', detection);
const recognised = await measured('recognition', recognition);
if (found && recognised) writeFigures(folder, pack.spec, { ...found, recognition: recognised, quality }, share >= 1);
await engine.close();
await pool.close();

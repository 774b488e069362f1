/**
 * Keyframes per second of the whole pipeline beside what its stages do alone; figures and ratios of one run on one
 * machine. After a build:
 *
 *   STAR_MODELS=… STAR_PORTRAITS=… node edge/mizar/bench/pipeline.ts [clip]
 *
 * Without a clip one is made of the portraits: 1080p H.264 at 4 Mbit/s, 60 keyframes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { decodeArguments, decodeFrames } from '../dist/decode/decode-frames.js';
import { findFfmpeg } from '../dist/decode/ffmpeg.js';
import { type ProbedSegment, probeSegment } from '../dist/decode/probe-segment.js';
import { indexSegment } from '../dist/index-segment.js';
import { FaceIndex } from '../dist/index-store/face-index.store.js';
import { FrameSlots } from '../dist/inference/frame-slots.js';
import { InferencePool } from '../dist/inference/pool.js';
import { loadPack } from '../dist/pack/load-pack.js';
import type { LoadedPack } from '../dist/pack/pack.js';
import type { StageFrames } from './support/stage-worker.ts';

const never = new AbortController().signal;
const folder = mkdtempSync(join(tmpdir(), 'mizar-bench-'));
const threads = Number(process.env.MIZAR_THREADS ?? availableParallelism());
const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!;
const figure = (name: string, value: number, unit: string): void =>
  console.log(`${name.padEnd(58)} ${value.toFixed(value < 10 ? 2 : 0).padStart(8)} ${unit}`);

function makeClip(portraits: string): string {
  const path = join(folder, 'clip.mp4');
  const photos = readdirSync(portraits)
    .filter((f) => /-b\.\w+$/.test(f))
    .slice(0, 4)
    .map((f) => join(portraits, f));
  const inputs = photos.flatMap((p) => ['-i', p]);
  // Two people at a time, changing every 15 s.
  const overlays = photos.map(
    (_, i) =>
      `[${i + 1}:v]scale=300:-1[p${i}];[b${i}][p${i}]overlay=${200 + i * 400}:300:enable='between(mod(t,30),${(i % 2) * 15},${(i % 2) * 15 + 15})'[b${i + 1}]`,
  );
  const source = 'gradients=s=1920x1080:r=25:d=60:c0=0x555a60:c1=0x9a9488:speed=0.002:seed=7';
  const filter = `[0:v]noise=alls=8:allf=t[b0];${overlays.join(';')}`;
  const encode = [
    '-c:v',
    'libx264',
    '-preset',
    'superfast',
    '-b:v',
    '4M',
    '-maxrate',
    '5M',
    '-bufsize',
    '8M',
    '-bf',
    '0',
    '-g',
    '25',
    '-sc_threshold',
    '0',
    '-pix_fmt',
    'yuv420p',
  ];
  execFileSync('ffmpeg', [
    '-v',
    'error',
    '-f',
    'lavfi',
    '-i',
    source,
    ...inputs,
    '-filter_complex',
    filter,
    '-map',
    `[b${photos.length}]`,
    ...encode,
    '-t',
    '60',
    path,
  ]);
  return path;
}

/** As many decoders as cores, one thread each, their frames thrown away: the most frames the cores can decode. */
async function decodeAlone(segment: ProbedSegment): Promise<number> {
  const tools = await findFfmpeg();
  const asUsual = decodeArguments(tools, segment, 1);
  const args = [...asUsual.slice(0, asUsual.indexOf('-vf')), ...tools.passthrough, '-f', 'null', '-'];
  const began = performance.now();
  await Promise.all(
    Array.from({ length: threads }, () => new Promise((resolve) => spawn('ffmpeg', args, { stdio: 'ignore' }).once('close', resolve))),
  );
  return (segment.keyframes * threads * 1000) / (performance.now() - began);
}

async function openStages(
  pack: LoadedPack,
  segment: ProbedSegment,
): Promise<{ facesPerFrame: number; alone: (stage: 'detect' | 'embed') => Promise<number>; close: () => Promise<void> }> {
  const tools = await findFfmpeg();
  const slots = new FrameSlots(1000);
  const frames: SharedArrayBuffer[] = [];
  for await (const { slot } of decodeFrames(segment, { tools, slots, threads: 1, signal: never })) frames.push(slot.pixels);
  const { width, height, colour } = segment;
  const workerData: StageFrames = { pack, frames, width, height, colour };
  const workers = Array.from(
    { length: threads },
    () => new Worker(join(import.meta.dirname, 'support', 'stage-worker.ts'), { workerData }),
  );
  const next = async <T>(w: Worker): Promise<T> => (await once(w, 'message'))[0] as T;
  const hello = await Promise.all(workers.map((w) => next<{ facesPerFrame: number }>(w)));
  return {
    facesPerFrame: hello[0]!.facesPerFrame,
    alone: async (stage) => {
      const answers = workers.map((w) => next<{ done: number; ms: number }>(w));
      for (const w of workers) w.postMessage({ stage, seconds: 2 });
      return (await Promise.all(answers)).reduce((sum, { done, ms }) => sum + (done * 1000) / ms, 0);
    },
    close: async () => void (await Promise.all(workers.map((w) => w.terminate()))),
  };
}

async function pipeline(pack: LoadedPack, path: string): Promise<() => Promise<number>> {
  const tools = await findFfmpeg();
  const pool = await InferencePool.open({ pack, threads, workerFile: join(import.meta.dirname, '..', 'dist', 'inference', 'worker.js') });
  const index = FaceIndex.open(join(folder, 'index'));
  const deps = { tools, pool, slots: new FrameSlots(threads * 2 + 2), index, pack: pack.spec, decoderThreads: 1 };
  return async () => {
    const began = performance.now();
    // Merak keeps several segments in flight: while one is probed or stored, another is looked at.
    const done = await Promise.all(
      Array.from({ length: Math.max(2, threads) }, (_, i) =>
        indexSegment(deps, { path, cameraId: `cam-${i}`, fromMs: 0, toMs: 60_000, dryRun: false }, never),
      ),
    );
    return (done.reduce((sum, d) => sum + d.framesAnalysed, 0) * 1000) / (performance.now() - began);
  };
}

async function benchPipeline(): Promise<void> {
  const { STAR_MODELS: models, STAR_PORTRAITS: portraits } = process.env;
  if (!models || !(process.argv[2] ?? portraits)) throw new Error('set STAR_MODELS, and STAR_PORTRAITS or name a clip');
  const path = process.argv[2] ?? makeClip(portraits!);
  const pack = await loadPack(models);
  const segment = await probeSegment(await findFfmpeg(), path, never);
  const stages = await openStages(pack, segment);
  const run = await pipeline(pack, path);
  await run();
  const rounds: { decode: number; detect: number; embed: number; whole: number; limit: number }[] = [];
  // Interleaved, so that whatever else the machine does hits every stage alike.
  for (let round = 0; round < 5; round++) {
    const decode = await decodeAlone(segment);
    const detect = await stages.alone('detect');
    const embed = await stages.alone('embed');
    const whole = await run();
    rounds.push({ decode, detect, embed, whole, limit: 1 / (1 / decode + 1 / detect + stages.facesPerFrame / embed) });
  }
  await stages.close();
  const mid = (of: keyof (typeof rounds)[number]): number => median(rounds.map((r) => r[of]));
  console.log(
    `${cpus()[0]?.model}, ${threads} threads; ${segment.codec} ${segment.width}x${segment.height}, ${stages.facesPerFrame.toFixed(2)} faces a keyframe`,
  );
  figure('decode alone', mid('decode'), 'keyframes/s');
  figure('detect alone', mid('detect'), 'keyframes/s');
  figure('second look, align and embed alone', mid('embed'), 'faces/s');
  figure('limit 1/(1/decode + 1/detect + faces/embed)', mid('limit'), 'keyframes/s');
  figure('pipeline, stored and with crops', mid('whole'), 'keyframes/s');
  figure('pipeline / limit (target 0.75)', median(rounds.map((r) => r.whole / r.limit)), '');
}

try {
  await benchPipeline();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

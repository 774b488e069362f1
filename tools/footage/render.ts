/**
 * Renders the footage of a plan: short scenes once, joined by stream copy into recorder files of a minute each.
 * Everything is cached by what it was made from, so a second build costs nothing.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { type CatalogueInput, packMpegPs } from '@dipper/camsim';
import sharp from 'sharp';
import { sceneOf } from '../people/scenes.ts';
import type { Cast } from './cast.ts';
import { type Appearance, type CameraPlan, type FootagePlan, minutes, sceneMs, segmentMs } from './schedule.ts';

const framesPerSecond = 10;
/** A file cut here still starts like a good one. */
const truncatedShare = 0.6;

export interface RenderOptions {
  readonly plan: FootagePlan;
  readonly cast: Cast;
  /** Gets one folder with a catalogue per box. */
  readonly folder: string;
  /** Gets `scenes/` and `minutes/`, which say nothing about an installation: several may use one at the same time. `folder` by default. */
  readonly rendered?: string;
  /** Unix ms of the recording's first frame. */
  readonly startAt: number;
  readonly onProgress: (done: number, total: number) => void;
}

interface Actor {
  readonly picture: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly lane: number;
}

/** Renders what is missing and writes `<folder>/<box>/catalogue.json`; answers the folder of each box. */
export async function renderFootage(options: RenderOptions): Promise<Record<string, string>> {
  const { plan, folder, rendered = folder, startAt } = options;
  for (const path of [join(rendered, 'scenes'), join(rendered, 'minutes'), join(folder, 'pictures')])
    await mkdir(path, { recursive: true });
  const boxes = [...new Set(plan.cameras.map((c) => c.box))];
  const jobs = plan.cameras.flatMap((camera) => (camera.unreachable ? [] : minutesOf(camera).map((minute) => ({ camera, minute }))));
  const scenes = new Once();
  const files = new Map<string, string>();
  let done = 0;
  await eachLimited(jobs, cpus().length, async ({ camera, minute }) => {
    files.set(`${camera.key}/${minute}`, await renderMinute(options, camera, minute, scenes));
    options.onProgress(++done, jobs.length);
  });
  const folders: Record<string, string> = {};
  for (const box of boxes) {
    const boxFolder = join(folder, box);
    await mkdir(boxFolder, { recursive: true });
    const catalogue: CatalogueInput = {
      channels: plan.cameras
        .filter((c) => c.box === box)
        .map((camera) => ({
          channel: camera.channel,
          name: camera.name,
          online: !camera.unreachable,
          segments: minutesOf(camera).map((minute) => ({
            from: startAt + minute * segmentMs,
            to: startAt + (minute + 1) * segmentMs,
            // The recorder lists an unreachable camera's footage and fails to hand it out; the file is never read.
            file: files.get(`${camera.unreachable ? `${box}.1` : camera.key}/${minute}`) as string,
            codec: camera.codec,
          })),
        })),
    };
    await writeFile(join(boxFolder, 'catalogue.json'), JSON.stringify(catalogue, null, 1));
    folders[box] = boxFolder;
  }
  return folders;
}

const minutesOf = (camera: CameraPlan): number[] => Array.from({ length: minutes }, (_, m) => m).filter((m) => !camera.gap.includes(m));

/** One recorder file; answers its path relative to the box's folder. */
async function renderMinute(options: RenderOptions, camera: CameraPlan, minute: number, scenes: Once): Promise<string> {
  const { plan, folder, rendered = folder } = options;
  const parts: string[] = [];
  for (let at = minute * segmentMs; at < (minute + 1) * segmentMs; at += sceneMs) {
    const here = plan.appearances.filter((a) => a.camera === camera.key && a.from === at);
    parts.push(await renderScene(options, camera, here, scenes));
  }
  const whole = await scenes.run(`minute:${parts.join()}`, async () => {
    const target = join(rendered, 'minutes', `${hashOf(parts)}.ps`);
    if (!existsSync(target)) {
      const joined = `${target}.${process.pid}.mp4`;
      const list = `${target}.${process.pid}.txt`;
      await writeFile(list, parts.map((part) => `file '${part}'`).join('\n'));
      await run('ffmpeg', ['-y', '-v', 'error', '-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy', joined]);
      const part = `${target}.${process.pid}.part`;
      await packMpegPs(joined, part);
      await rename(part, target);
      await Promise.all([rm(joined), rm(list)]);
    }
    return target;
  });
  const name = basename(whole);
  const inBox = camera.truncated === minute ? `cut-${name}` : name;
  await mkdir(join(folder, camera.box), { recursive: true });
  const target = join(folder, camera.box, inBox);
  if (!existsSync(target)) {
    await run('cp', ['--reflink=auto', whole, target]);
    if (camera.truncated === minute) await truncate(target, Math.floor((await stat(target)).size * truncatedShare));
  }
  return inBox;
}

/** Ten seconds of people walking past, one file per content. */
async function renderScene(options: RenderOptions, camera: CameraPlan, here: readonly Appearance[], scenes: Once): Promise<string> {
  const what = {
    v: 4,
    cast: options.cast.version,
    background: camera.background,
    codec: camera.codec,
    keyframeS: camera.keyframeS,
    people: here.map((a) => [a.photo, a.facePx]),
  };
  const target = join(options.rendered ?? options.folder, 'scenes', `${hashOf(what)}.mp4`);
  return scenes.run(target, async () => {
    if (existsSync(target)) return target;
    const background = await scenes.run(`background:${camera.background}`, async () => {
      const file = join(options.folder, 'pictures', `background-${camera.background}.png`);
      await sharp(Buffer.from(sceneOf(camera.background, true)))
        .png()
        .toFile(file);
      return file;
    });
    const actors: Actor[] = [];
    for (const [lane, appearance] of here.entries()) actors.push(await actorOf(options, appearance, lane));
    await encode(background, actors, camera, `${target}.${process.pid}.mp4`);
    await rename(`${target}.${process.pid}.mp4`, target);
    return target;
  });
}

/** Written beside the scenes, where ffmpeg reads it. */
async function actorOf({ cast, folder }: RenderOptions, appearance: Appearance, lane: number): Promise<Actor> {
  const { png, widthPx, heightPx } = await cast.cutOut(appearance);
  const picture = join(folder, 'pictures', `${hashOf([cast.version, appearance.photo, appearance.facePx])}.png`);
  await writeFile(picture, png);
  return { picture, widthPx, heightPx, lane };
}

function encode(background: string, actors: readonly Actor[], camera: CameraPlan, target: string): Promise<void> {
  const seconds = sceneMs / 1000;
  const inputs = [background, ...actors.map((a) => a.picture)].flatMap((file) => ['-framerate', String(framesPerSecond), '-i', file]);
  const filters = ['[0]format=yuv420p,loop=loop=-1:size=1[v0]'];
  for (const [i, actor] of actors.entries()) {
    // Lanes are a third of the picture apart, so three people never cover each other.
    const y = 90 + actor.lane * 300;
    const speed = ((1920 - actor.widthPx - 240) / seconds).toFixed(2);
    const x = i % 2 === 0 ? `120+${speed}*t` : `${1800 - actor.widthPx}-${speed}*t`;
    filters.push(`[${i + 1}]format=yuva420p,loop=loop=-1:size=1[p${i}]`, `[v${i}][p${i}]overlay=x='${x}':y='${y}+8*sin(t*6)'[v${i + 1}]`);
  }
  const keyint = camera.keyframeS * framesPerSecond;
  const codec =
    camera.codec === 'hevc'
      ? [
          '-c:v',
          'libx265',
          '-preset',
          'ultrafast',
          '-crf',
          '24',
          '-x265-params',
          `log-level=error:keyint=${keyint}:min-keyint=${keyint}:scenecut=0:bframes=0`,
        ]
      : [
          '-c:v',
          'libx264',
          '-preset',
          'ultrafast',
          '-crf',
          '21',
          '-g',
          String(keyint),
          '-keyint_min',
          String(keyint),
          '-sc_threshold',
          '0',
          '-bf',
          '0',
        ];
  return run('ffmpeg', [
    ...[
      '-y',
      '-v',
      'error',
      '-nostdin',
      ...inputs,
      '-filter_complex',
      filters.join(';'),
      '-map',
      `[v${actors.length}]`,
      '-t',
      String(seconds),
    ],
    ...['-pix_fmt', 'yuv420p', '-threads', '1', ...codec, target],
  ]);
}

/** Runs each piece of work once, however many ask for it at the same time. */
class Once {
  private readonly running = new Map<string, Promise<string>>();
  run(key: string, work: () => Promise<string>): Promise<string> {
    const known = this.running.get(key);
    if (known) return known;
    const started = work();
    this.running.set(key, started);
    return started;
  }
}

const hashOf = (what: unknown): string => createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 20);

async function eachLimited<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}: ${said}`))));
  });
}

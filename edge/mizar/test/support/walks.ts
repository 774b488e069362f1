/**
 * Two minutes of H.264 in which it is known who walks where in every keyframe: a cast's people at three sizes, and
 * strangers, three at a time, ten seconds each. Rendered by the demo's own footage tools, as a recorder would keep it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cast } from '../../../../tools/footage/cast.ts';
import { renderFootage } from '../../../../tools/footage/render.ts';
import { type Appearance, type CameraPlan, minutes, readPhotoName, sceneMs, segmentMs } from '../../../../tools/footage/schedule.ts';

export const faceSizes = [48, 64, 96] as const;
export const KEYFRAME_MS = 2000;
const FILES = 2;
const LANES = 3;
const PLACES = (FILES * segmentMs * LANES) / sceneMs;

/** Somebody on their walk: which of the three lanes, and how large the cut-out is that moves along it. */
export interface Walk extends Appearance {
  readonly lane: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Undefined for a stranger. */
  readonly enrolledBy: string | undefined;
}

export interface Walks {
  readonly walks: readonly Walk[];
  /** Program streams of a minute each, one after the other. */
  readonly files: readonly string[];
}

/**
 * Everybody with an `a` and a `b` photo is shown by `b` once at each size; those with an `a` only fill the other
 * places. Rendered once: what was, lies in the temporary folder under a name that says what it was made from.
 */
export async function renderWalks(cast: Cast, madeFrom: readonly unknown[]): Promise<Walks> {
  const walks = await planWalks(cast);
  const folder = join(
    tmpdir(),
    `star-walks-${createHash('sha256')
      .update(JSON.stringify([madeFrom, cast.version, walks]))
      .digest('hex')
      .slice(0, 16)}`,
  );
  if (!existsSync(folder)) {
    const own = `${folder}.${process.pid}`;
    const plan = { cameras: [camera], appearances: walks, groups: [], absent: '', strangers: [], enrolled: {} };
    try {
      await renderFootage({ plan, cast, folder: own, startAt: 0, onProgress: () => {} });
      renameSync(own, folder);
    } catch (error) {
      rmSync(own, { recursive: true, force: true });
      // Unless somebody else was quicker with the same.
      if (!existsSync(folder)) throw error;
    }
  }
  const catalogue = JSON.parse(readFileSync(join(folder, camera.box, 'catalogue.json'), 'utf8')) as {
    channels: { segments: { file: string }[] }[];
  };
  return { walks, files: catalogue.channels[0]!.segments.map(({ file }) => join(folder, camera.box, file)) };
}

const camera: CameraPlan = {
  key: 'proof.1',
  box: 'proof',
  channel: 1,
  name: 'Passage',
  codec: 'h264',
  keyframeS: KEYFRAME_MS / 1000,
  background: 1,
  gap: Array.from({ length: minutes }, (_, m) => m).slice(FILES),
};

async function planWalks(cast: Cast): Promise<Walk[]> {
  const photos = [...cast.files].sort().flatMap((file) => readPhotoName(file) ?? []);
  const of = (letter: string) => new Map(photos.filter(({ file }) => file.includes(`-${letter}.`)).map((p) => [p.person, p.file]));
  const [first, second] = [of('a'), of('b')];
  const known = [...second].filter(([person]) => first.has(person));
  const wanted: { person: string; photo: string; facePx: number; enrolledBy: string | undefined }[] = [];
  for (const facePx of faceSizes)
    for (const [person, photo] of known) wanted.push({ person, photo, facePx, enrolledBy: first.get(person) });
  const strangers = [...first].filter(([person]) => !second.has(person));
  strangers.slice(0, PLACES - wanted.length).forEach(([person, photo], i) => {
    wanted.push({ person, photo, facePx: faceSizes[i % faceSizes.length]!, enrolledBy: undefined });
  });
  if (wanted.length > PLACES) throw new Error(`${wanted.length} walks do not fit into ${PLACES} places`);
  return Promise.all(
    wanted.map(async (w, i) => {
      const { widthPx, heightPx } = await cast.cutOut(w);
      const from = Math.floor(i / LANES) * sceneMs;
      return { ...w, camera: camera.key, from, to: from + sceneMs, lane: i % LANES, widthPx, heightPx };
    }),
  );
}

/**
 * Whether a face in the middle of such a box is the one that walks there at that moment: as `tools/footage` moves
 * people, lanes of 300 px, every other from right to left. A face is in the upper part of its cut-out, of a whole
 * figure as of a portrait, so no lane reaches into the next.
 */
export function isOn(walk: Walk, atMs: number, box: { x: number; y: number; width: number; height: number }): boolean {
  if (atMs < walk.from || atMs >= walk.to) return false;
  const gone = ((1920 - walk.widthPx - 240) * (atMs - walk.from)) / sceneMs;
  const left = walk.lane % 2 === 0 ? 120 + gone : 1800 - walk.widthPx - gone;
  const top = 90 + walk.lane * 300;
  const [x, y] = [box.x + box.width / 2 - left, box.y + box.height / 2 - top];
  const facePx = Math.min(box.width, box.height);
  return x > 0 && x < walk.widthPx && y > -8 && y < Math.min(walk.heightPx, 290) && facePx > walk.facePx * 0.5 && facePx < walk.facePx * 2;
}

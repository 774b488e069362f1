/** Who appears in the footage and who is enrolled: the people in a folder of photos, or drawn ones. */

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { firstUnseenSeed } from '../people/cast.ts';
import { type Identity, identityOf, lookAlikeOf } from '../people/identity.ts';
import { drawFrom } from '../people/random.ts';
import { renderFaceOfSize } from '../people/render-face.ts';
import { frontView, type View, viewOf } from '../people/view.ts';
import type { Appearance } from './schedule.ts';

/** Somebody cut out for the camera, as a PNG with a transparent ground. */
export interface CutOut {
  readonly png: Buffer;
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface Cast {
  /** Named `<person>-<letter>.<ext>`; people with two photos can be enrolled by one and shown by the other. */
  readonly files: readonly string[];
  photo(file: string): Promise<Buffer>;
  /** As large as the appearance says. What it depends on besides is part of `version`. */
  cutOut(appearance: Pick<Appearance, 'photo' | 'facePx'>): Promise<CutOut>;
  readonly version: string;
}

/** Where the face is in a photo, in its pixels. */
export interface FaceBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** People of real photos: head and shoulders with a soft edge. `faceOf` says where the face is. */
export function portraitCast(folder: string, faceOf: (image: Buffer) => Promise<FaceBox>): Cast {
  const photo = (file: string) => readFile(join(folder, file));
  return {
    files: readdirSync(folder),
    version: 'portraits.1',
    photo,
    cutOut: async ({ photo: file, facePx }) => {
      const image = await photo(file);
      const face = await faceOf(image);
      const { data, info } = await sharp(image).rotate().flatten({ background: '#888' }).toBuffer({ resolveWithObject: true });
      const left = Math.max(0, Math.round(face.x - face.width * 0.7));
      const top = Math.max(0, Math.round(face.y - face.height * 0.6));
      const width = Math.min(info.width - left, Math.round(face.width * 2.4));
      const height = Math.min(info.height - top, Math.round(face.height * 2.3));
      const widthPx = Math.round((width * facePx) / face.width);
      const heightPx = Math.round((height * facePx) / face.width);
      const radius = Math.round(widthPx * 0.25);
      const mask = `<svg width="${widthPx}" height="${heightPx}"><rect width="${widthPx}" height="${heightPx}" rx="${radius}" fill="#fff"/></svg>`;
      const cut = await sharp(data).extract({ left, top, width, height }).resize(widthPx, heightPx).toBuffer();
      const png = await sharp(cut)
        .ensureAlpha()
        .composite([{ input: Buffer.from(mask), blend: 'dest-in' }])
        .png()
        .toBuffer();
      return { png, widthPx, heightPx };
    },
  };
}

const known = ['anna', 'bao', 'carla', 'dev', 'elif', 'feng', 'gita', 'hugo'] as const;
const strangerCount = 24;
/** Of the strangers these look like somebody who is enrolled, and these walk away from the camera. */
const lookAlikes = 4;
const turnedAway = 4;

/** Drawn people, none of whom any model was trained on. */
export function drawnCast(): Cast {
  const people = new Map<string, Identity>();
  for (const [i, name] of known.entries()) people.set(name, identityOf(firstUnseenSeed + i));
  for (let i = 0; i < strangerCount; i++) {
    const seed = firstUnseenSeed + 100 + i;
    const like = people.get(known[i % known.length] as string) as Identity;
    people.set(`stranger${String(i + 1).padStart(2, '0')}`, i < lookAlikes ? lookAlikeOf(like, seed) : identityOf(seed));
  }
  const render = (file: string, sizePx: number) => {
    const name = file.split('-')[0] as string;
    return renderFaceOfSize(people.get(name) as Identity, viewFor(name, file), sizePx);
  };
  return {
    files: [...people.keys()].flatMap((name) => (name.startsWith('stranger') ? [`${name}-a.png`] : [`${name}-a.png`, `${name}-b.png`])),
    version: 'drawn.2',
    photo: (file) =>
      sharp(Buffer.from(render(file, 110).svg))
        .flatten({ background: '#c9d3da' })
        .png()
        .toBuffer(),
    cutOut: async ({ photo, facePx }) => {
      const { svg, widthPx, heightPx } = render(photo, facePx);
      return { png: await sharp(Buffer.from(svg)).png().toBuffer(), widthPx, heightPx };
    },
  };
}

/** The first photo of somebody known is a passport's; every other is of a walk past a camera, in other clothes. */
function viewFor(name: string, file: string): View {
  const number = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 1_000_003;
  const stranger = name.startsWith('stranger');
  if (!stranger && file.includes('-a.')) return { ...frontView, outfit: number };
  const view: View = { ...viewOf(drawFrom(number), 0.5), covering: 'none', eyesOpen: 1, framing: 'full' };
  const isTurned = stranger && Number(name.slice('stranger'.length)) > strangerCount - turnedAway;
  return isTurned ? { ...view, yaw: 180, pitch: 0 } : view;
}

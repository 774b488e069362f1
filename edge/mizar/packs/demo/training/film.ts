/** Scenes with rendered people in them as a camera's H.264 would deliver them, with what is to be seen where. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Identity } from '../../../../../tools/people/identity.ts';
import type { Draw } from '../../../../../tools/people/random.ts';
import { type Box, type RenderedFace, renderFaceOfSize } from '../../../../../tools/people/render-face.ts';
import { sceneHeight, sceneOf, sceneWidth } from '../../../../../tools/people/scenes.ts';
import type { View } from '../../../../../tools/people/view.ts';

/** Somebody to be filmed, so large that the shorter side of the face box is `facePx`. */
export interface Actor {
  readonly person: number;
  readonly identity: Identity;
  readonly view: View;
  readonly facePx: number;
}

export interface Seen {
  readonly person: number;
  readonly facePx: number;
  readonly yaw: number;
  readonly box: Box;
  readonly landmarks: readonly number[];
}

/** One composed picture: RGB bytes of 1920 x 1080 and who is in it. Whoever finds no free place is left out. */
export interface Take {
  readonly rgb: Buffer;
  readonly seen: readonly Seen[];
}

export async function compose(draw: Draw, sceneSeed: number, actors: readonly Actor[]): Promise<Take> {
  const taken: Box[] = [];
  const seen: Seen[] = [];
  const layers: { input: Buffer; left: number; top: number }[] = [];
  for (const actor of actors) {
    const drawing = renderFaceOfSize(actor.identity, actor.view, actor.facePx);
    const place = freePlace(draw, drawing, taken);
    if (!place) continue;
    taken.push(place);
    layers.push({ input: Buffer.from(drawing.svg), left: place.x, top: place.y });
    const box = { ...drawing.box, x: drawing.box.x + place.x, y: drawing.box.y + place.y };
    const landmarks = drawing.landmarks.map((v, i) => v + (i % 2 === 0 ? place.x : place.y));
    seen.push({ person: actor.person, facePx: actor.facePx, yaw: actor.view.yaw, box, landmarks });
  }
  const rgb = await sharp(Buffer.from(sceneOf(sceneSeed)))
    .composite(layers)
    .removeAlpha()
    .raw()
    .toBuffer();
  return { rgb, seen };
}

function freePlace(draw: Draw, { widthPx: width, heightPx: height }: RenderedFace, taken: readonly Box[]): Box | undefined {
  if (width > sceneWidth || height > sceneHeight) return undefined;
  for (let i = 0; i < 60; i++) {
    const at = { x: draw.whole(sceneWidth - width + 1), y: draw.whole(sceneHeight - height + 1), width, height };
    const apart = (b: Box): boolean => at.x >= b.x + b.width || b.x >= at.x + width || at.y >= b.y + b.height || b.y >= at.y + height;
    if (taken.every(apart)) return at;
  }
  return undefined;
}

export const frameBytes = (sceneWidth * sceneHeight * 3) / 2;

/** The pictures after H.264, each a keyframe, as planar 4:2:0 of BT.601. `quality` is x264's constant rate factor. */
export async function filmed(pictures: readonly Buffer[], quality: number): Promise<Uint8Array[]> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-pack-'));
  const path = join(folder, 'film.mp4');
  try {
    const size = `${sceneWidth}x${sceneHeight}`;
    const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', size, '-r', '5', '-i', '-'];
    const encoder = spawn(
      'ffmpeg',
      [
        '-v',
        'error',
        ...raw,
        '-c:v',
        'libx264',
        '-preset',
        'veryfast',
        '-crf',
        String(quality),
        '-g',
        '1',
        '-threads',
        '1',
        '-pix_fmt',
        'yuv420p',
        path,
      ],
      {
        stdio: ['pipe', 'inherit', 'inherit'],
      },
    );
    const encoded = once(encoder, 'close');
    for (const picture of pictures) if (!encoder.stdin.write(picture)) await once(encoder.stdin, 'drain');
    encoder.stdin.end();
    await encoded;
    const decoder = spawn('ffmpeg', ['-v', 'error', '-threads', '1', '-i', path, '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks: Buffer[] = [];
    for await (const chunk of decoder.stdout) chunks.push(chunk as Buffer);
    const all = Buffer.concat(chunks);
    if (all.length !== pictures.length * frameBytes) throw new Error(`ffmpeg gave ${all.length} bytes for ${pictures.length} pictures`);
    return pictures.map((_, i) => new Uint8Array(all.subarray(i * frameBytes, (i + 1) * frameBytes)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

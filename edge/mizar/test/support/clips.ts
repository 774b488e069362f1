import { readFileSync, writeFileSync } from 'node:fs';
import ffmpeg from 'fluent-ffmpeg';

/** A portrait shown in a clip: its face `facePx` wide (the shorter side of its box), its centre at `at`, between two moments. */
export interface Showing {
  readonly photo: string;
  /** The face in the photo: x, y, width, height. */
  readonly face: { x: number; y: number; width: number; height: number };
  readonly photoWidth: number;
  readonly facePx: number;
  readonly at: readonly [number, number];
  readonly fromS: number;
  readonly toS: number;
}

export interface ClipOptions {
  readonly seconds: number;
  readonly fps?: number;
  readonly gopSeconds: number;
  readonly codec?: 'libx264' | 'libx265';
  readonly format?: 'mp4' | 'mpeg';
  readonly width?: number;
  readonly height?: number;
  /** B-frames, which cameras do not send but editors do. */
  readonly bFrames?: number;
  /** Kilobytes of one frame count in a program stream: its packs hold 2 KB, and only the first frame of a pack has a time. */
  readonly noise?: number;
}

/** Renders portraits over a moving, noisy background with ffmpeg; 1080p unless told otherwise. */
export function renderClip(path: string, showings: readonly Showing[], options: ClipOptions): Promise<void> {
  const { seconds, fps = 12, gopSeconds, codec = 'libx264', format = 'mp4', width = 1920, height = 1080, bFrames = 0, noise = 5 } = options;
  const gop = Math.round(gopSeconds * fps);
  const command = ffmpeg()
    .input(`gradients=s=${width}x${height}:r=${fps}:d=${seconds}:c0=0x555a60:c1=0x9a9488:speed=0.002:seed=7`)
    .inputFormat('lavfi');
  const photos = [...new Set(showings.map((s) => s.photo))];
  for (const photo of photos) command.input(photo);
  const filters: string[] = [`[0:v]noise=alls=${noise}:allf=t+u:all_seed=3,format=yuv420p[base0]`];
  const uses = photos.map((photo) => showings.filter((s) => s.photo === photo).length);
  photos.forEach((_, p) => {
    filters.push(`[${p + 1}:v]format=rgba,split=${uses[p]}${Array.from({ length: uses[p]! }, (_, k) => `[p${p}_${k}]`).join('')}`);
  });
  const used = photos.map(() => 0);
  showings.forEach((s, i) => {
    const p = photos.indexOf(s.photo);
    const scale = s.facePx / Math.min(s.face.width, s.face.height);
    const w = Math.round(s.photoWidth * scale);
    const left = Math.round(s.at[0] - (s.face.x + s.face.width / 2) * scale);
    const top = Math.round(s.at[1] - (s.face.y + s.face.height / 2) * scale);
    filters.push(`[p${p}_${used[p]!++}]scale=${w}:-1:flags=area[s${i}]`);
    filters.push(`[base${i}][s${i}]overlay=${left}:${top}:enable='between(t,${s.fromS},${s.toS - 0.001})'[base${i + 1}]`);
  });
  const quality =
    codec === 'libx264'
      ? ['-preset', 'veryfast', '-crf', '23', '-sc_threshold', '0', '-bf', String(bFrames)]
      : ['-preset', 'ultrafast', '-crf', '25', '-tag:v', 'hvc1'];
  const keys =
    codec === 'libx265'
      ? ['-x265-params', `bframes=${bFrames}:keyint=${gop}:min-bframes=${bFrames}:keyint=${gop}:scenecut=0:log-level=0`]
      : ['-g', String(gop), '-keyint_min', String(gop)];
  return new Promise((resolve, reject) => {
    command
      .complexFilter(filters, `base${showings.length}`)
      .outputOptions(['-t', String(seconds), '-pix_fmt', 'yuv420p', '-c:v', codec, ...quality, ...keys])
      .format(format)
      .on('end', () => resolve())
      .on('error', (error: Error, _out: unknown, said: unknown) => reject(new Error(`${error.message}\n${said}`)))
      .save(path);
  });
}

/** Hikvision's 40-byte header before the program stream. */
export function putImkhHeader(from: string, to: string): void {
  const header = Buffer.alloc(40);
  header.write('IMKH', 0, 'latin1');
  header.writeUInt16LE(0x0101, 4);
  header.writeUInt16LE(0x0002, 8);
  header.writeUInt16LE(0x0005, 12);
  writeFileSync(to, Buffer.concat([header, readFileSync(from)]));
}

/** Sound without a picture. */
export function renderSound(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    ffmpeg()
      .input('sine=d=2')
      .inputFormat('lavfi')
      .on('end', () => resolve())
      .on('error', reject)
      .save(path);
  });
}

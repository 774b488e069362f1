import { open } from 'node:fs/promises';

/** Enough for the first pictures of a 4K stream, and for the last ones. */
const LOOK_BYTES = 1024 * 1024;
const WRAP = 2 ** 33;
const LONGEST_MS = 24 * 3_600_000;

/** Presentation times of video in MPEG-PS, in ticks of 90 kHz, in the order they lie there. */
export function videoTimes(bytes: Buffer): number[] {
  const times: number[] = [];
  // Start codes E0 to EF mean a video packet; inside H.264 and H.265 their top bit is forbidden, so none is a picture's.
  for (let at = bytes.indexOf('000001', 0, 'hex'); at >= 0 && at + 14 <= bytes.length; at = bytes.indexOf('000001', at + 3, 'hex')) {
    const stream = bytes[at + 3] ?? 0;
    const marker = bytes[at + 6] ?? 0;
    const flags = bytes[at + 7] ?? 0;
    if ((stream & 0xf0) !== 0xe0 || (marker & 0xc0) !== 0x80 || (flags & 0x80) === 0) continue;
    const [a, b, c, d, e] = bytes.subarray(at + 9, at + 14);
    if (((a ?? 0) & 0xe1) !== 0x21 || ((c ?? 0) & 1) === 0 || ((e ?? 0) & 1) === 0) continue;
    times.push((((a ?? 0) >> 1) & 7) * 2 ** 30 + (b ?? 0) * 2 ** 22 + ((c ?? 0) >> 1) * 2 ** 15 + (d ?? 0) * 2 ** 7 + ((e ?? 0) >> 1));
  }
  return times;
}

/**
 * How long the video of a program stream plays, from its first and last picture; undefined when it cannot be told
 * from those. Reads 2 MB at most: `ffprobe` costs some 90 ms of a core for each file, at a hundred downloads
 * about as long as the downloads, so it is asked only where this does not answer.
 */
export async function programStreamDurationMs(path: string): Promise<number | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(Math.min(size, LOOK_BYTES));
    await file.read(head, 0, head.length, 0);
    const first = videoTimes(head);
    if (first.length === 0) return undefined;
    const tail = Buffer.alloc(Math.min(size, LOOK_BYTES));
    await file.read(tail, 0, tail.length, size - tail.length);
    const last = videoTimes(tail);
    if (last.length === 0) return undefined;
    const start = Math.min(...first.slice(0, 16));
    const end = Math.max(...last.slice(-16));
    const sorted = [...first.slice(0, 64)].sort((a, b) => a - b);
    const steps = sorted.map((t, i) => t - (sorted[i - 1] ?? t)).filter((step) => step > 0);
    const frame = steps.length > 0 ? Math.min(...steps) : 3600;
    const ms = Math.round(((end < start ? end + WRAP : end) - start + frame) / 90);
    return ms > LONGEST_MS ? undefined : ms;
  } finally {
    await file.close();
  }
}

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeFrames } from '../src/decode/decode-frames';
import { type FfmpegTools, findFfmpeg } from '../src/decode/ffmpeg';
import { probeSegment } from '../src/decode/probe-segment';
import { type FrameSlot, FrameSlots } from '../src/inference/frame-slots';
import { putImkhHeader, renderClip, renderSound } from './support/clips';

const never = new AbortController().signal;
const small = { width: 320, height: 192 };
let folder: string;
let tools: FfmpegTools;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-decode-'));
  tools = await findFfmpeg();
  await renderClip(at('one.mp4'), [], { ...small, seconds: 10, gopSeconds: 1 });
  await renderClip(at('ten.mp4'), [], { ...small, seconds: 21, gopSeconds: 10 });
  await renderClip(at('edited.mp4'), [], { ...small, seconds: 10, gopSeconds: 1, bFrames: 3 });
  await renderClip(at('h265.mp4'), [], { ...small, seconds: 6, gopSeconds: 2, codec: 'libx265' });
  await renderClip(at('one.ps'), [], { ...small, seconds: 10, gopSeconds: 1, fps: 25, format: 'mpeg', noise: 40 });
  putImkhHeader(at('one.ps'), at('imkh.ps'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function times(path: string, slots = new FrameSlots(2)): Promise<{ times: number[]; codec: string; durationMs: number }> {
  const segment = await probeSegment(tools, path, never);
  const seen: number[] = [];
  for await (const { slot, atMs } of decodeFrames(segment, { tools, slots, threads: 1, signal: never })) {
    seen.push(Math.round(atMs) + 0);
    slots.give(slot);
  }
  return { times: seen, codec: segment.codec, durationMs: segment.durationMs };
}
const seconds = (n: number, step = 1): number[] => Array.from({ length: n }, (_, i) => i * step * 1000);
const widest = (all: readonly number[]): number => Math.max(...all.slice(1).map((t, i) => t - all[i]!));

test('keyframes alone, each with its exact time', async () => {
  expect(await times(at('one.mp4'))).toEqual({ times: seconds(10), codec: 'h264', durationMs: 10_000 });
  expect((await times(at('edited.mp4'))).times).toEqual(seconds(10));
  expect(await times(at('h265.mp4'))).toEqual({ times: seconds(3, 2), codec: 'hevc', durationMs: 6000 });
});

test('where keyframes are 10 s apart, frames between them are decoded too', async () => {
  const { times: seen, durationMs } = await times(at('ten.mp4'));
  expect(widest([...seen, durationMs])).toBeLessThanOrEqual(2000);
  expect(seen.length).toBeLessThan(15);
});

test('a program stream starts at zero whatever its clock says, with and without the Hikvision header', async () => {
  const plain = await times(at('one.ps'));
  expect(plain.times).toEqual(seconds(10));
  expect(plain.durationMs).toBe(10_000);
  expect(await times(at('imkh.ps'))).toEqual(plain);
});

test('a truncated program stream ends where its footage ends', async () => {
  const whole = readFileSync(at('one.ps'));
  writeFileSync(at('cut.ps'), whole.subarray(0, Math.floor(whole.length * 0.55)));
  const { times: seen, durationMs } = await times(at('cut.ps'));
  expect(durationMs).toBeGreaterThan(3000);
  expect(durationMs).toBeLessThan(8000);
  expect(seen).toEqual(seconds(seen.length));
  expect(durationMs - seen.at(-1)!).toBeLessThanOrEqual(1040);
});

test('what is no footage is told apart', async () => {
  writeFileSync(at('garbage'), Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919 + (i >> 3)) & 255)));
  writeFileSync(at('empty'), '');
  writeFileSync(at('playlist.m3u8'), `#EXTM3U\n#EXTINF:1,\nfile://${at('one.mp4')}\n`);
  writeFileSync(at('list'), `ffconcat version 1.0\nfile '${at('one.mp4')}'\n`);
  const whole = readFileSync(at('one.mp4'));
  writeFileSync(at('half.mp4'), whole.subarray(0, whole.length >> 1));
  await renderSound(at('sound.mp4'));
  for (const name of ['garbage', 'empty', 'playlist.m3u8', 'list', 'half.mp4'])
    await expect(times(at(name))).rejects.toMatchObject({ code: 'segment.corrupt' });
  await expect(times(at('sound.mp4'))).rejects.toMatchObject({ code: 'segment.no_video', retry: false });
  await expect(times(at('nothing'))).rejects.toMatchObject({ code: 'segment.missing' });
  await expect(findFfmpeg('/no/such/ffmpeg')).rejects.toMatchObject({ code: 'decoder.missing' });
});

test('a slow taker holds ffmpeg back; slots all come home; leaving or cancelling ends the child', async () => {
  const segment = await probeSegment(tools, at('one.mp4'), never);
  const slots = new FrameSlots(2);
  const held: FrameSlot[] = [];
  const cancel = new AbortController();
  await expect(
    (async () => {
      for await (const { slot } of decodeFrames(segment, { tools, slots, threads: 1, signal: cancel.signal })) {
        held.push(slot);
        // Nothing is given back: the third is never handed out.
        if (held.length === 2) setTimeout(() => cancel.abort(), 200);
      }
    })(),
  ).rejects.toMatchObject({ code: 'mizar.cancelled' });
  expect(held).toHaveLength(2);
  for (const slot of held) slots.give(slot);
  for await (const { slot } of decodeFrames(segment, { tools, slots, threads: 1, signal: never })) {
    slots.give(slot);
    break;
  }
  expect((await times(at('one.mp4'), slots)).times).toHaveLength(10);
});

test('a decoder that says nothing is killed', async () => {
  const segment = await probeSegment(tools, at('one.mp4'), never);
  const silent = { ...tools, ffmpeg: at('silent') };
  writeFileSync(at('silent'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o700 });
  const frames = decodeFrames(segment, { tools: silent, slots: new FrameSlots(1), threads: 1, signal: never, stallMs: 100 });
  await expect(frames.next()).rejects.toMatchObject({ code: 'segment.stalled', retry: true });
});

test('a probe cancelled between two lines, and a decoder cancelled before a time, end', async () => {
  const segment = await probeSegment(tools, at('one.mp4'), never);
  // One says a line and no more; the other hands out a frame and never says when it was.
  const frame = segment.width * segment.height * 1.5;
  writeFileSync(at('probe'), `#!/bin/sh\necho "packet|pts=0|flags=K_"; echo > ${at('probed')}; exec sleep 60\n`, { mode: 0o700 });
  writeFileSync(at('decoder'), `#!/bin/sh\nhead -c ${frame} /dev/zero; echo > ${at('decoded')}; exec sleep 60\n`, { mode: 0o700 });
  const cancelledAfter = async (mark: string, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> => {
    const cancel = new AbortController();
    const watching = setInterval(() => existsSync(at(mark)) && cancel.abort(), 50);
    await expect(work(cancel.signal).finally(() => clearInterval(watching))).rejects.toMatchObject({ code: 'mizar.cancelled' });
  };
  await cancelledAfter('probed', (signal) => probeSegment({ ...tools, ffprobe: at('probe') }, at('one.mp4'), signal));
  const slots = new FrameSlots(1);
  await cancelledAfter('decoded', (signal) =>
    decodeFrames(segment, { tools: { ...tools, ffmpeg: at('decoder') }, slots, threads: 1, signal }).next(),
  );
  expect((await times(at('one.mp4'), slots)).times).toHaveLength(10);
});

import type { Readable } from 'node:stream';
import { yuvBytes } from '../faces/yuv-frame';
import type { FrameSlot, FrameSlots } from '../inference/frame-slots';
import { mizarErrors } from '../mizar.errors';
import { type FfmpegTools, inputArguments, linesOf, watch } from './ffmpeg';
import type { ProbedSegment } from './probe-segment';

export interface DecodedFrame {
  readonly slot: FrameSlot;
  /** From the segment's first moment of video. */
  readonly atMs: number;
}

export interface DecodeOptions {
  readonly tools: FfmpegTools;
  readonly slots: FrameSlots;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly stallMs?: number;
  /** Time spent waiting for ffmpeg, as opposed to ffmpeg waiting for us, is added here. */
  readonly spent?: (decodeMs: number) => void;
}

/** At least one frame in this time is looked at: a person crosses a gate in little more. */
export const SAMPLING_MS = 2000;
/** Keyframes "every 2 s" come at 2.04 s with real cameras; decoding everything for that would cost tenfold. */
const KEYFRAME_TOLERANCE_MS = 200;
/** Cameras that send only keyframes (MJPEG-like H.264) are not looked at 25 times a second. */
const LEAST_DISTANCE_S = 0.4;
const STALL_MS = 30_000;
/** Reading ahead of the frames; one line each, so far more than can be in flight. */
const MAX_TIMES_AHEAD = 10_000;

/** Keyframes alone are enough for the sampling promised. */
export const keyframesSuffice = (segment: ProbedSegment): boolean =>
  segment.keyframes > 0 && segment.keyframeGapMs <= SAMPLING_MS + KEYFRAME_TOLERANCE_MS;

/**
 * ffmpeg's arguments. Keyframes are skipped to in the demuxer (-discard) and in the decoder (-skip_frame): both
 * together take half the time of either. With B-frames in MP4 the demuxer's skipping shifts times by up to 300 ms
 * (it forgets to move on in the table of display offsets), so there only the decoder skips. Times leave on pipe 3, one line a frame, in microseconds of the file's own
 * time (-copyts): exact, where progress lines or a constant frame rate are not.
 */
export function decodeArguments(tools: FfmpegTools, segment: ProbedSegment, threads: number): string[] {
  const keyframes = keyframesSuffice(segment);
  const distance = keyframes ? LEAST_DISTANCE_S : Math.max(LEAST_DISTANCE_S, (SAMPLING_MS - segment.frameMs) / 1000 + 0.001);
  const select = `select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,${distance.toFixed(3)})+lt(t\\,prev_selected_t)`;
  const times = 'metadata=mode=add:key=k:value=1,metadata=mode=print:file=pipe\\\\:3:direct=1';
  return [
    ...['-nostdin', '-v', 'error', '-copyts', '-threads', String(threads)],
    ...(keyframes ? ['-skip_frame', 'nokey', ...(segment.reordered ? [] : ['-discard', 'nokey'])] : ['-skip_loop_filter', 'noref']),
    ...inputArguments(segment.path, segment.isHikvision),
    ...['-map', '0:v:0', '-an', '-sn', '-dn', '-vf', `settb=AVTB,${select},${times}`],
    ...tools.passthrough,
    ...['-pix_fmt', segment.pixelFormat, '-s', `${segment.width}x${segment.height}`, '-f', 'rawvideo', 'pipe:1'],
  ];
}

/**
 * Frames in order, each in a slot that the taker must give back. No more than the slots allow is ever in memory:
 * while none is free ffmpeg stands still. Ends early without an error where a truncated file ends; throws
 * `segment.corrupt` when not one frame could be decoded. Leaving the loop kills ffmpeg.
 */
export async function* decodeFrames(segment: ProbedSegment, options: DecodeOptions): AsyncGenerator<DecodedFrame> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const decoder = watch(
    options.tools.ffmpeg,
    decodeArguments(options.tools, segment, options.threads),
    4,
    options.stallMs ?? STALL_MS,
    signal,
  );
  const times = new FrameTimes(decoder.child.stdio[3] as Readable);
  const size = yuvBytes(segment.width, segment.height);
  const filled = new FrameFiller(decoder.child.stdout!, decoder.alive);
  let frames = 0;
  try {
    for (;;) {
      decoder.hold(true);
      const slot = await options.slots.take(size, signal);
      decoder.hold(false);
      decoder.alive();
      const began = performance.now();
      const atUs = await readFrame(slot, filled, times).catch(() => undefined);
      options.spent?.(performance.now() - began);
      if (atUs === undefined) {
        options.slots.give(slot);
        break;
      }
      frames++;
      if (Number.isNaN(atUs)) {
        options.slots.give(slot);
        continue;
      }
      yield { slot, atMs: (atUs - segment.originUs) / 1000 };
    }
    const { said, stalled } = await decoder.ended;
    if (options.signal.aborted) throw mizarErrors.cancelled();
    if (stalled) throw mizarErrors.segmentStalled(options.stallMs ?? STALL_MS);
    if (frames === 0) throw mizarErrors.segmentCorrupt(said);
  } finally {
    stop.abort();
    await decoder.ended.catch(() => {});
  }
}

/** Fills the slot and answers the frame's time; undefined, or a broken pipe, is the end. */
async function readFrame(slot: FrameSlot, filled: FrameFiller, times: FrameTimes): Promise<number | undefined> {
  return (await filled.fill(slot.bytes)) ? times.next() : undefined;
}

/** Cuts the decoder's output into frames. The pipe is read only while a frame is wanted. */
class FrameFiller {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(
    stdout: Readable,
    private readonly heard: () => void,
  ) {
    this.chunks = (stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** False when the output ended before the frame was whole. */
  async fill(frame: Uint8Array): Promise<boolean> {
    let at = 0;
    while (at < frame.length) {
      if (this.rest.length === 0) {
        const next = await this.chunks.next();
        if (next.done) return false;
        this.heard();
        this.rest = next.value;
      }
      const part = this.rest.subarray(0, frame.length - at);
      frame.set(part, at);
      at += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return true;
  }
}

/** The side pipe with one `frame:0 pts:1000000 pts_time:1` per frame; a frame of unknown time is NaN. */
class FrameTimes {
  private readonly known: number[] = [];
  private readonly waiting: ((at: number | undefined) => void)[] = [];
  private ended = false;

  constructor(pipe: Readable) {
    const lines = linesOf(pipe);
    lines.on('line', (line) => {
      const frame = /^frame:\d+\s+pts:(\S+)/.exec(line);
      if (!frame) return;
      const next = this.waiting.shift();
      if (next) next(Number(frame[1]));
      else if (this.known.length < MAX_TIMES_AHEAD) this.known.push(Number(frame[1]));
    });
    lines.on('close', () => {
      this.ended = true;
      for (const wait of this.waiting.splice(0)) wait(undefined);
    });
  }

  next(): Promise<number | undefined> {
    const known = this.known.shift();
    if (known !== undefined || this.ended) return Promise.resolve(known);
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

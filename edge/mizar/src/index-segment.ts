import { decodeFrames, SAMPLING_MS } from './decode/decode-frames';
import type { FfmpegTools } from './decode/ffmpeg';
import { type ProbedSegment, probeSegment } from './decode/probe-segment';
import type { FaceIndex } from './index-store/face-index.store';
import type { NewSighting } from './index-store/sighting';
import type { FrameSlots } from './inference/frame-slots';
import type { FrameAnswer } from './inference/messages';
import type { InferencePool } from './inference/pool';
import { mizarErrors } from './mizar.errors';
import type { PackSpec } from './pack/pack';

export interface SegmentToIndex {
  readonly path: string;
  readonly cameraId: string;
  /** What the recorder says the file holds, UTC. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Look but store nothing. */
  readonly dryRun: boolean;
}

export interface SegmentResult {
  readonly coveredFromMs: number;
  readonly coveredToMs: number;
  readonly framesAnalysed: number;
  readonly sightings: number;
  readonly samplingMs: number;
  readonly segment: ProbedSegment;
  readonly decodeMs: number;
  readonly detectMs: number;
  readonly embedMs: number;
  readonly totalMs: number;
}

export interface IndexSegmentDeps {
  readonly tools: FfmpegTools;
  readonly pool: InferencePool;
  readonly slots: FrameSlots;
  readonly index: FaceIndex;
  readonly pack: PackSpec;
  readonly decoderThreads: number;
}

/** Recorders name whole seconds: an end missing by less is the same end. */
const RECORDER_GRAIN_MS = 1000;
/** Crops of one segment held in memory until it is stored; beyond, sightings are kept without a picture. */
const MAX_CROP_BYTES = 256 * 1024 * 1024;

/**
 * Decodes, detects, aligns, embeds, and stores every sighting with the time covered, all at once at the end: a
 * cancelled or failed segment leaves nothing behind. Frames the file holds beyond `toMs` belong to the next segment.
 */
export async function indexSegment(deps: IndexSegmentDeps, wanted: SegmentToIndex, signal: AbortSignal): Promise<SegmentResult> {
  const began = performance.now();
  const segment = await probeSegment(deps.tools, wanted.path, signal);
  const seen = await analyse(deps, wanted, segment, signal);
  if (signal.aborted) throw mizarErrors.cancelled();
  const covered = coveredSpan(wanted, segment.durationMs, seen.times);
  // Every frame lay outside what the recorder said it holds.
  if (covered.fromMs >= covered.toMs) throw mizarErrors.segmentCorrupt();
  const sightings = seen.sightings.filter((s) => s.atMs >= covered.fromMs && s.atMs < covered.toMs).sort(byTimeAndPlace);
  if (!wanted.dryRun) {
    const { id: packId, embedder } = deps.pack;
    const frame = { frameWidth: segment.width, frameHeight: segment.height };
    await deps.index.replaceSpan(
      { cameraId: wanted.cameraId, packId, dimension: embedder.dimension, ...covered, ...frame, sightings },
      counters(seen, sightings.length),
    );
  }
  return {
    coveredFromMs: covered.fromMs,
    coveredToMs: covered.toMs,
    samplingMs: covered.samplingMs,
    framesAnalysed: seen.times.length,
    sightings: sightings.length,
    segment,
    ...seen.spent,
    totalMs: performance.now() - began,
  };
}

interface Analysed {
  /** Unix ms of every frame looked at, in order. */
  readonly times: readonly number[];
  readonly sightings: NewSighting[];
  readonly spent: { decodeMs: number; detectMs: number; embedMs: number };
}

/** Decoding runs ahead of inference by as many frames as there are slots. */
async function analyse(deps: IndexSegmentDeps, wanted: SegmentToIndex, segment: ProbedSegment, signal: AbortSignal): Promise<Analysed> {
  const times: number[] = [];
  const sightings: NewSighting[] = [];
  const spent = { decodeMs: 0, detectMs: 0, embedMs: 0 };
  const failed = new AbortController();
  let failure: unknown;
  let cropBytes = 0;
  const running = new Set<Promise<void>>();
  const keep = (atMs: number, answer: FrameAnswer): void => {
    spent.detectMs += answer.detectMs;
    spent.embedMs += answer.embedMs;
    for (const { box, quality, embedding, crop } of answer.faces) {
      cropBytes += crop.length;
      sightings.push({ atMs, box, quality, embedding, crop: cropBytes > MAX_CROP_BYTES ? new Uint8Array(0) : crop });
    }
  };
  const frames = decodeFrames(segment, {
    tools: deps.tools,
    slots: deps.slots,
    threads: deps.decoderThreads,
    signal: AbortSignal.any([signal, failed.signal]),
    spent: (ms) => {
      spent.decodeMs += ms;
    },
  });
  try {
    for await (const { slot, atMs } of frames) {
      const at = wanted.fromMs + Math.round(atMs);
      if (at < wanted.fromMs || at >= wanted.toMs || at <= (times.at(-1) ?? -1)) {
        deps.slots.give(slot);
        continue;
      }
      times.push(at);
      const { width, height, colour } = segment;
      const job = deps.pool
        .frame({ pixels: slot.pixels, width, height, colour })
        .then((answer) => keep(at, answer))
        .catch((error: unknown) => {
          failure ??= error;
          failed.abort();
        })
        .finally(() => {
          deps.slots.give(slot);
          running.delete(job);
        });
      running.add(job);
    }
  } catch (error) {
    failure ??= error;
  }
  await Promise.all(running);
  if (failure) throw failure;
  return { times, sightings, spent };
}

/**
 * What the frames looked at prove. Covered is from the first frame, or the very start when the first comes soon
 * enough, to the end of the file's video, or what the recorder said when that is the same to its grain.
 */
export function coveredSpan(
  wanted: { fromMs: number; toMs: number },
  durationMs: number,
  times: readonly number[],
): { fromMs: number; toMs: number; samplingMs: number } {
  const first = times[0];
  if (first === undefined) return { fromMs: wanted.fromMs, toMs: wanted.fromMs, samplingMs: 0 };
  const end = wanted.fromMs + durationMs;
  const toMs = end >= wanted.toMs - RECORDER_GRAIN_MS ? wanted.toMs : end;
  const fromMs = first - wanted.fromMs <= SAMPLING_MS ? wanted.fromMs : first;
  let samplingMs = Math.max(first - fromMs, toMs - times.at(-1)!);
  for (let i = 1; i < times.length; i++) samplingMs = Math.max(samplingMs, times[i]! - times[i - 1]!);
  return { fromMs, toMs, samplingMs };
}

/** Workers finish in any order; what is stored must not depend on it. */
const byTimeAndPlace = (a: NewSighting, b: NewSighting): number => a.atMs - b.atMs || a.box[0] - b.box[0] || a.box[1] - b.box[1];

function counters(seen: Analysed, sightings: number): Record<string, number> {
  return {
    segments_indexed_total: 1,
    keyframes_decoded_total: seen.times.length,
    sightings_total: sightings,
    decode_ms_total: Math.round(seen.spent.decodeMs),
    detect_ms_total: Math.round(seen.spent.detectMs),
    embed_ms_total: Math.round(seen.spent.embedMs),
  };
}

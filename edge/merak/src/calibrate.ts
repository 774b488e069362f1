import type { alioth, Span } from '@stardipper/proto';
import type { Turn } from './fair-gate';
import type { SearchBox } from './search-box';

export interface SampleCamera {
  readonly recorderId: string;
  readonly channel: number;
}

export interface Listed {
  /** Milliseconds of footage in what was listed, clipped to the range. */
  readonly footageMs: number;
  /** How far the listing came. */
  readonly until: number;
  readonly segments: readonly alioth.Segment[];
}

/** Measuring must not stand in the way of a search. */
const idleTurn: Turn = { taskId: 'calibration', priority: 6, order: Number.MAX_SAFE_INTEGER, camera: 'calibration' };
/** Somebody waits for an estimate. */
export const estimateTurn: Turn = { taskId: 'estimate', priority: 2, order: 0, camera: 'estimate' };
const shortestSampleMs = 5_000;
const calibratePauseMs = 10_000;
/** Cameras of one recorder differ less than recorders do. */
const channelsPerRecorder = 2;
const lookBackMs = [3_600_000, 86_400_000, 7 * 86_400_000];

/** Lists up to `pages` pages of a range; what it could not list is simply not in the answer. */
export async function listSome(
  box: SearchBox,
  camera: SampleCamera,
  range: Span,
  pages: number,
  turn: Turn,
  signal: AbortSignal,
): Promise<Listed> {
  let until = range.from;
  let footageMs = 0;
  const segments: alioth.Segment[] = [];
  for (let page = 0; page < pages && until < range.to; page += 1) {
    const leave = await box.recorders.recorder(camera.recorderId).listings.enter(turn, signal);
    try {
      const request = { ...pick(camera), fromMs: until, toMs: range.to, pageSize: 40, priority: turn.priority };
      const listed = await box.neighbours.listSegments(request, signal);
      for (const s of listed.segments) {
        if (!(s.toMs > until)) continue;
        footageMs += Math.max(0, Math.min(s.toMs, range.to) - Math.max(s.fromMs, until));
        segments.push(s);
        until = Math.max(until, Math.min(s.toMs, range.to));
      }
      if (!(Math.min(listed.listedUntilMs, range.to) >= until) || (listed.listedUntilMs <= request.fromMs && segments.length === 0)) break;
      until = Math.max(until, Math.min(listed.listedUntilMs, range.to));
    } finally {
      leave();
    }
  }
  return { footageMs, until, segments };
}

const pick = ({ recorderId, channel }: SampleCamera) => ({ recorderId, channel });

/** The segments to measure with: from the middle of what was listed, none that is too short to say anything or still growing. */
export function sampleOf(listed: Listed, count: number): alioth.Segment[] {
  const fit = listed.segments.filter((s) => !s.growing && s.toMs - s.fromMs >= shortestSampleMs);
  const shortest = [...fit].sort((a, b) => a.toMs - a.fromMs - (b.toMs - b.fromMs)).slice(0, Math.max(count, Math.ceil(fit.length / 2)));
  const middle = Math.max(0, Math.floor((shortest.length - count) / 2));
  return shortest.slice(middle, middle + count);
}

const warmed = new WeakSet<SearchBox>();

/** Measures download and index speed on one segment without storing anything. */
export async function measure(
  box: SearchBox,
  camera: SampleCamera,
  segment: alioth.Segment,
  packId: string,
  turn: Turn,
  signal: AbortSignal,
): Promise<void> {
  const footageMs = segment.toMs - segment.fromMs;
  const leaveRecorder = await box.recorders.recorder(camera.recorderId).downloads.enter(turn, signal);
  const startedAt = performance.now();
  const file = await box.neighbours.downloadSegment(segment, turn.priority, signal).finally(leaveRecorder);
  const drop = box.files.hold();
  try {
    box.speeds.downloaded(pick(camera), packId, footageMs, performance.now() - startedAt, file.sizeBytes);
    const request = { path: file.path, cameraId: 'calibration', fromMs: segment.fromMs, toMs: segment.toMs, packId, dryRun: true };
    // The first call also loads the models; it is made once for nothing.
    const rounds = warmed.has(box) ? 1 : 2;
    warmed.add(box);
    for (let round = 1; round <= rounds; round += 1) {
      const leave = await box.indexing.enter(turn, signal);
      const watch = box.speeds.indexing();
      try {
        await box.neighbours.indexSegment(request, signal);
        if (round === rounds) watch.end(pick(camera), packId, footageMs);
      } finally {
        watch.end();
        leave();
      }
    }
  } finally {
    drop();
    await box.neighbours.releaseSegment(segment, AbortSignal.timeout(5_000)).catch(() => undefined);
  }
}

/**
 * Measures recorders that appear, while the box has nothing else to do, so that the first estimate already
 * stands on this recorder's own footage.
 */
export async function calibrateIdly(box: SearchBox, idle: () => boolean, signal: AbortSignal): Promise<void> {
  const tried = new Set<string>();
  while (!signal.aborted) {
    await box.clock.sleep(Math.min(calibratePauseMs, 5 * box.settings.retryMs), signal);
    if (signal.aborted || !idle()) continue;
    try {
      await box.recorders.refresh(signal);
      const next = nextToMeasure(box, tried);
      if (!next) continue;
      tried.add(`${next.recorderId}/${next.channel}`);
      const { packId } = await box.neighbours.getPack(signal);
      if (!box.speeds.measured(next, packId)) await measureRecent(box, next, packId, signal);
    } catch (error) {
      if (!signal.aborted) box.log.info({ err: error }, 'recorder not measured');
    }
  }
}

function nextToMeasure(box: SearchBox, tried: ReadonlySet<string>): SampleCamera | undefined {
  return box.recorders
    .all()
    .filter((recorder) => recorder.reachable)
    .flatMap((recorder) =>
      recorder.channels
        .filter((channel) => channel.online)
        .slice(0, channelsPerRecorder)
        .map(({ channel }) => ({ recorderId: recorder.recorderId, channel })),
    )
    .find((camera) => !tried.has(`${camera.recorderId}/${camera.channel}`));
}

async function measureRecent(box: SearchBox, camera: SampleCamera, packId: string, signal: AbortSignal): Promise<void> {
  const now = box.clock.now();
  for (const backMs of lookBackMs) {
    const range = { from: now - backMs, to: now };
    const listed = await listSome(box, camera, range, 1, idleTurn, signal);
    const [segment] = sampleOf(listed, 1);
    if (!segment) continue;
    await measure(box, camera, segment, packId, idleTurn, signal);
    return;
  }
}

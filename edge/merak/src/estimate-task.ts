import {
  type alioth,
  type EstimateTaskParams,
  type EstimateTaskReply,
  estimateTaskParams,
  type Span,
  subtractSpans,
  type TaskCamera,
  totalMs,
} from '@stardipper/proto';
import { estimateTurn, listSome, measure, sampleOf } from './calibrate';
import { knownSpans } from './coverage';
import { taskMalformed } from './merak.errors';
import type { SearchBox } from './search-box';
import type { Task } from './task';
import type { TaskStore } from './task.store';

export interface EstimateDeps {
  readonly box: SearchBox;
  readonly tasks: TaskStore;
  readonly signal: AbortSignal;
}

/** The operator waits; what has not been learned by then is filled in with the box's average. */
const answerWithinMs = 5_000;
const coverageWithinMs = 1_500;
const listWithinMs = 1_500;
const pagesPerCamera = 3;
/** Accepting, fetching the query, the first listing, the last report. */
const overheadS = 0.4;
/** One question to the face index. */
const askS = 0.015;
const usualSegmentS = 60;
/** Of an operator's search; less urgent tasks do not hold it up. */
const assumedPriority = 3;
const aheadTasks = 20;

interface Outlook {
  readonly camera: TaskCamera;
  readonly unknownMs: number;
  readonly footageMs: number;
  readonly listedBytes: number;
  readonly segmentS: number;
  /** Until a camera that cannot be listed is given up on; everything else goes on meanwhile. */
  readonly silentMs: number;
}

/** Load on the box's index stage, and on each recorder, in milliseconds. */
class Load {
  indexMs = 0;
  readonly recorders = new Map<string, { sessionMs: number; bytes: number }>();

  add(box: SearchBox, packId: string, camera: TaskCamera, footageMs: number, bytes?: number): void {
    const speed = box.speeds.expected(camera, packId);
    const seconds = footageMs / 1_000;
    this.indexMs += seconds * speed.indexMsPerS;
    const recorder = this.recorders.get(camera.recorderId) ?? { sessionMs: 0, bytes: 0 };
    recorder.sessionMs += seconds * speed.downloadMsPerS;
    recorder.bytes += bytes ?? seconds * speed.bytesPerS;
    this.recorders.set(camera.recorderId, recorder);
  }

  /** Indexing takes all cores and is one queue; downloads overlap with it and with each other, as far as sessions allow. */
  seconds(box: SearchBox): number {
    const downloads = [...this.recorders].map(([id, r]) => r.sessionMs / box.recorders.sessions(id));
    return Math.max(this.indexMs, ...downloads, 0) / 1_000;
  }
}

/** Tells what a task would take on this box, measuring first what was never measured. Answers within some 5 s; throws task.malformed. */
export function estimateTask({ box, tasks, signal }: EstimateDeps) {
  return async (given: unknown): Promise<EstimateTaskReply> => {
    const parsed = estimateTaskParams.safeParse(given);
    if (!parsed.success) throw taskMalformed(parsed.error.issues);
    const params = parsed.data;
    const due = performance.now() + answerWithinMs;
    await within(2_000, box.recorders.refresh(signal), undefined);
    const unknown = await unknownSpans(box, params, signal);
    const outlooks = await Promise.all(
      params.cameras.map((camera, i) => lookAhead(box, params, camera, unknown[i] ?? [params.range], due, signal)),
    );
    const toSearchMs = outlooks.reduce((sum, o) => sum + o.unknownMs, 0);
    const rangeMs = (params.range.to - params.range.from) * params.cameras.length;
    const own = new Load();
    for (const o of outlooks) own.add(box, params.packId, o.camera, o.footageMs, o.listedBytes);
    const all = await loadAhead(box, tasks, signal);
    for (const o of outlooks) all.add(box, params.packId, o.camera, o.footageMs, o.listedBytes);
    const asked = params.cameras.length * askS;
    const silentS = Math.max(0, ...outlooks.map((o) => o.silentMs)) / 1_000;
    return {
      indexedMs: rangeMs - toSearchMs,
      toSearchMs,
      seconds: round(Math.max(all.seconds(box) + firstDownloadS(box, params, outlooks), silentS) + asked + overheadS),
      recorders: recorderLoads(box, params, own),
      measured: outlooks.every(
        (o) => o.footageMs === 0 || box.speeds.measured(o.camera, params.packId) !== undefined || nearMeasured(box, o.camera, params),
      ),
    };
  };
}

const round = (seconds: number) => Math.round(seconds * 100) / 100;

/** Time runs out for one question, not for the whole answer. */
async function within<T>(ms: number, work: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), Math.max(0, ms));
  });
  return await Promise.race([work.catch(() => otherwise), late]).finally(() => clearTimeout(timer));
}

async function unknownSpans(box: SearchBox, { cameras, range, packId }: EstimateTaskParams, signal: AbortSignal): Promise<Span[][]> {
  const until = performance.now() + coverageWithinMs;
  return Promise.all(cameras.map((camera) => within(until - performance.now(), unknownOf(box, camera, range, packId, signal), [range])));
}

async function unknownOf(box: SearchBox, camera: TaskCamera, range: Span, packId: string, signal: AbortSignal): Promise<Span[]> {
  const leave = await box.asking.enter({ ...estimateTurn, camera: camera.id }, signal);
  try {
    const covered = await box.neighbours.getCoverage({ cameraId: camera.id, fromMs: range.from, toMs: range.to, packId }, signal);
    return subtractSpans(range, knownSpans(range, covered));
  } finally {
    leave();
  }
}

/** How much footage there is to look at, by listing where it is quick and by experience beyond; measures the camera when nobody has. */
async function lookAhead(
  box: SearchBox,
  params: EstimateTaskParams,
  camera: TaskCamera,
  unknown: readonly Span[],
  due: number,
  signal: AbortSignal,
): Promise<Outlook> {
  const unknownMs = totalMs(unknown);
  const first = unknown[0];
  if (!first) return { camera, unknownMs: 0, footageMs: 0, listedBytes: 0, segmentS: 0, silentMs: 0 };
  const turn = { ...estimateTurn, camera: camera.id };
  const hull = { from: first.from, to: unknown.at(-1)?.to ?? first.to };
  const nothing = { footageMs: 0, until: hull.from, segments: [] };
  const listed = await within(listWithinMs, listSome(box, camera, hull, pagesPerCamera, turn, signal), nothing);
  const listedMs = listed.until - hull.from;
  const none = { camera, unknownMs, footageMs: 0, listedBytes: 0, segmentS: 0, silentMs: 0 };
  // A search gave this camera up and it is still silent: the next one will find that out after as long.
  const silentMs = box.recorders.recorder(camera.recorderId).unlisted.get(camera.channel);
  if (listedMs === 0 && silentMs !== undefined) return { ...none, silentMs };
  // Nothing is left but what is known to be cut short: that is answered without the file.
  const open = unknown.flatMap((span) => subtractSpans(span, knownShort(box, params.packId, listed.segments)));
  if (open.length === 0) return none;
  if (listedMs > 0) box.speeds.listed(camera, params.packId, listed.footageMs / listedMs);
  if (!box.speeds.measured(camera, params.packId)) await measureInTime(box, params, camera, listed, due, signal);
  const { footageShare, bytesPerS } = box.speeds.expected(camera, params.packId);
  const seenShare = listedMs > 0 ? listed.footageMs / listedMs : footageShare;
  const inListed = open.map((s) => ({ from: Math.min(s.from, listed.until), to: Math.min(s.to, listed.until) }));
  const withoutFootage = inListed.flatMap((span) => subtractSpans(span, listed.segments.map(spanOf)));
  const beyondMs = totalMs(open) - totalMs(inListed);
  const footageMs = totalMs(inListed) - totalMs(withoutFootage) + beyondMs * (listedMs > 0 ? seenShare : footageShare);
  const sized = listed.segments.filter((s) => s.sizeBytes > 0 && s.toMs > s.fromMs);
  const sizedMs = totalMs(sized.map((s) => ({ from: s.fromMs, to: s.toMs })));
  const rate = sizedMs > 0 ? (sized.reduce((sum, s) => sum + s.sizeBytes, 0) * 1_000) / sizedMs : bytesPerS;
  const segmentS =
    listed.segments.length > 0
      ? totalMs(listed.segments.map((s) => ({ from: s.fromMs, to: s.toMs }))) / listed.segments.length / 1_000
      : usualSegmentS;
  return { camera, unknownMs, footageMs, listedBytes: (footageMs / 1_000) * rate, segmentS, silentMs: 0 };
}

const spanOf = (segment: alioth.Segment): Span => ({ from: segment.fromMs, to: segment.toMs });

const knownShort = (box: SearchBox, packId: string, segments: readonly alioth.Segment[]): Span[] =>
  segments.filter((s) => !s.growing && box.shortFootage.find(s, packId, box.clock.now())).map(spanOf);

/** Two segments where there are few cameras, so that Mizar is measured as busy as it will be. A measurement that takes too long goes on for the next estimate. */
async function measureInTime(
  box: SearchBox,
  params: EstimateTaskParams,
  camera: TaskCamera,
  listed: Parameters<typeof sampleOf>[0],
  due: number,
  signal: AbortSignal,
): Promise<void> {
  const samples = sampleOf(listed, params.cameras.length === 1 ? 2 : 1);
  const turn = { ...estimateTurn, camera: camera.id };
  const work = samples.map(async (segment) => {
    if (performance.now() > due) return;
    await measure(box, camera, segment, params.packId, turn, AbortSignal.any([signal, AbortSignal.timeout(4 * answerWithinMs)]));
  });
  await within(due - performance.now(), Promise.all(work), []);
}

/** A camera without a sample of its own is as good as measured when its recorder's others were: they share line and codec settings mostly. */
function nearMeasured(box: SearchBox, camera: TaskCamera, { packId }: EstimateTaskParams): boolean {
  return box.speeds.sampledOf(camera.recorderId, packId) > 0;
}

/** The last footage is looked at after its download; only where there is little footage does that show. */
function firstDownloadS(box: SearchBox, params: EstimateTaskParams, outlooks: readonly Outlook[]): number {
  const waits = outlooks
    .filter((o) => o.footageMs > 0)
    .map((o) => (box.speeds.expected(o.camera, params.packId).downloadMsPerS * Math.min(o.segmentS, o.footageMs / 1_000)) / 1_000);
  return waits.length === 0 ? 0 : Math.min(...waits);
}

/** What is queued already and not less urgent. */
async function loadAhead(box: SearchBox, tasks: TaskStore, signal: AbortSignal): Promise<Load> {
  const load = new Load();
  const ahead = tasks.unfinished().filter((task) => task.priority <= assumedPriority && !task.cancelRequested);
  const until = performance.now() + coverageWithinMs;
  for (const { taskId } of ahead.slice(0, aheadTasks)) {
    const task = tasks.get(taskId);
    if (!task) continue;
    await Promise.all(restOf(tasks, task).map(({ camera, rest }) => addRest(box, load, task, camera, rest, until, signal)));
  }
  // Beyond that, a queue is long enough to guess: the rest is like the first ones.
  const factor = ahead.length / Math.max(1, Math.min(ahead.length, aheadTasks));
  load.indexMs *= factor;
  for (const recorder of load.recorders.values()) recorder.sessionMs *= factor;
  return load;
}

const restOf = (tasks: TaskStore, task: Task) =>
  tasks.cameras(task).flatMap(({ ledger }, i) => {
    const camera = task.params.cameras[i];
    return camera ? [{ camera, rest: ledger.rest() }] : [];
  });

async function addRest(
  box: SearchBox,
  load: Load,
  task: Task,
  camera: TaskCamera,
  rest: readonly Span[],
  until: number,
  signal: AbortSignal,
): Promise<void> {
  const first = rest[0];
  if (!first) return;
  const hull = { from: first.from, to: rest.at(-1)?.to ?? first.to };
  const unknown = await within(until - performance.now(), unknownOf(box, camera, hull, task.params.packId, signal), [hull]);
  const ms = Math.min(totalMs(rest), totalMs(unknown));
  load.add(box, task.params.packId, camera, ms * box.speeds.expected(camera, task.params.packId).footageShare);
}

function recorderLoads(box: SearchBox, params: EstimateTaskParams, own: Load) {
  const ids = [...new Set(params.cameras.map((camera) => camera.recorderId))];
  return ids.map((recorderId) => {
    const status = box.recorders.status(recorderId);
    return {
      recorderId,
      reachable: status?.reachable ?? false,
      sessions: status?.sessionsInUse ?? 0,
      maxSessions: box.recorders.sessions(recorderId),
      downloadBytes: Math.round(own.recorders.get(recorderId)?.bytes ?? 0),
    };
  });
}

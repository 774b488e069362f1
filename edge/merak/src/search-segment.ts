import { AgentError } from '@dipper/platform';
import { type alioth, type MatchReport, type mizar, type Span, totalMs } from '@stardipper/proto';
import { type Finding, failedSpans, judgeSegment, planPage, type SegmentWork, samplingOf } from './coverage';
import { matchSpans } from './match-spans';
import { reasons } from './merak.errors';
import { segmentKey } from './neighbours';
import { asAgentError, persist } from './patience';
import { BoxStopping, type CameraRun, ledgerOf, type SearchBox } from './search-box';

interface Looked {
  readonly findings: Finding[];
  readonly matches: MatchReport[];
  readonly downloadedBytes: number;
  readonly keyframesDecoded: number;
  /** Lies in the spool and must be released once the step is durable. */
  readonly file?: alioth.Segment;
}

/** A segment still being written gets this many retry delays to grow before its second and last try. */
const growingWaits = 5;

/** What was found is on its way to the disk; the next segment need not wait for it to arrive. */
export interface Handed {
  readonly recorded: Promise<void>;
}

const nothingToRecord: Handed = { recorded: Promise.resolve() };

/** Looks at one segment and hands in what came of it. Only an abort makes it throw: every failure becomes coverage. */
export async function searchSegment(box: SearchBox, camera: CameraRun, work: SegmentWork, second = false): Promise<Handed> {
  const pieces = work.pieces.flatMap((piece) => ledgerOf(camera).ledger.missing(piece));
  if (pieces.length === 0) return nothingToRecord;
  const asked = { ...work, pieces };
  const looked = await lookPatiently(box, camera, asked);
  const late = asked.segment.growing && looked.findings.some((f) => f.kind === 'failed');
  const findings =
    late && second ? looked.findings.map((f) => (f.kind === 'failed' ? { ...f, reason: reasons.stillRecording } : f)) : looked.findings;
  const growMore = late && !second;
  const kept = growMore ? findings.filter((f) => f.kind !== 'failed') : findings;
  const whole = kept.some((f) => f.kind === 'searched');
  const recorded = box.journal.record(camera.run.progress, {
    position: camera.position,
    findings: kept,
    matches: looked.matches,
    tally: {
      segmentsDone: whole ? 1 : 0,
      segmentsFailed: whole || growMore ? 0 : 1,
      downloadedBytes: looked.downloadedBytes,
      keyframesDecoded: looked.keyframesDecoded,
    },
    ...(looked.file ? { release: looked.file } : {}),
  });
  if (growMore) await searchGrown(box, camera, totalRest(findings));
  return { recorded };
}

const totalRest = (findings: readonly Finding[]): Span[] => findings.filter((f) => f.kind === 'failed');

/** Lists the rest of a growing segment once more after a while, and takes what it has become. */
async function searchGrown(box: SearchBox, camera: CameraRun, rest: readonly Span[]): Promise<void> {
  const { run } = camera;
  await box.clock.sleep(growingWaits * box.settings.retryMs, run.signal);
  run.signal.throwIfAborted();
  for (const span of rest) {
    const listed = await listOnce(box, camera, span).catch(() => undefined);
    run.signal.throwIfAborted();
    const now = box.clock.now();
    const page = { from: span.from, to: span.to, listedUntil: span.to, segments: listed ?? [], known: [], end: span.to, now };
    const plan = planPage(page);
    for (const work of plan.works) await (await searchSegment(box, camera, work, true)).recorded;
    // Listed a moment ago and gone now: not the same as never recorded.
    await box.journal.record(run.progress, { position: camera.position, findings: failedSpans(plan.gaps, reasons.stillRecording) });
  }
}

async function listOnce(box: SearchBox, camera: CameraRun, span: Span): Promise<alioth.Segment[]> {
  const { run } = camera;
  const { recorderId, channel } = camera.camera;
  const leave = await box.recorders.recorder(recorderId).listings.enter(camera.turn, run.signal);
  try {
    const request = { recorderId, channel, fromMs: span.from, toMs: span.to, pageSize: 0, priority: run.params.priority };
    return (await box.neighbours.listSegments(request, run.signal)).segments.filter(
      (s) => s.recorderId === recorderId && s.channel === channel,
    );
  } finally {
    leave();
  }
}

async function lookPatiently(box: SearchBox, camera: CameraRun, work: SegmentWork): Promise<Looked> {
  const { run } = camera;
  const recorder = box.recorders.recorder(camera.camera.recorderId);
  const patience = { retryMs: box.settings.retryMs, attempts: box.recorders.attempts(recorder.id, box.settings.attempts) };
  let fetched: alioth.Segment | undefined;
  const keep = (segment: alioth.Segment) => {
    fetched = segment;
  };
  try {
    const looked = await persist((attempt) => alone(box, camera, work, () => look(box, camera, work, attempt, keep)), patience, {
      clock: box.clock,
      signal: run.signal,
    });
    recorder.failuresInRow = 0;
    return looked;
  } catch (thrown) {
    if (run.signal.aborted) {
      await giveBack(box, run.signal, fetched);
      throw thrown;
    }
    const error = asAgentError(thrown);
    box.log.warn({ err: thrown, taskId: run.params.taskId, segment: segmentKey(work.segment) }, 'segment failed');
    // Only what went wrong before the file was here speaks against the recorder.
    if (error.retry && !fetched && !error.code.startsWith('agent.')) recorder.failuresInRow += 1;
    return {
      findings: failedSpans(work.pieces, error.code),
      matches: [],
      downloadedBytes: 0,
      keyframesDecoded: 0,
      ...(fetched ? { file: fetched } : {}),
    };
  }
}

/** A cancelled task leaves no file behind; a process that ends does, and finds it again when it goes on. */
async function giveBack(box: SearchBox, signal: AbortSignal, segment: alioth.Segment | undefined): Promise<void> {
  if (!segment || signal.reason instanceof BoxStopping) return;
  await box.neighbours.releaseSegment(segment, AbortSignal.timeout(5_000)).catch(() => undefined);
}

/** Waits until nobody else looks at the same footage, and keeps others waiting meanwhile. */
async function alone<T>(box: SearchBox, camera: CameraRun, work: SegmentWork, job: () => Promise<T>): Promise<T> {
  const key = segmentKey(work.segment);
  for (let other = box.busySegments.get(key); other; other = box.busySegments.get(key)) await other;
  let done = () => {};
  box.busySegments.set(
    key,
    new Promise((resolve) => {
      done = resolve;
    }),
  );
  try {
    camera.run.signal.throwIfAborted();
    return await job();
  } finally {
    box.busySegments.delete(key);
    done();
  }
}

async function look(
  box: SearchBox,
  camera: CameraRun,
  work: SegmentWork,
  attempt: number,
  keep: (segment: alioth.Segment) => void,
): Promise<Looked> {
  const { run } = camera;
  const known = await samplingInIndex(box, camera, work);
  if (known !== undefined) {
    const findings = work.pieces.map((piece): Finding => ({ ...piece, kind: 'searched', samplingMs: known }));
    // Killed between indexing and recording, this box may have left the file in the spool; releasing what is not there is fine.
    const matches = await matchSpans(box, camera, work.pieces);
    return { findings, matches, downloadedBytes: 0, keyframesDecoded: 0, file: work.segment };
  }
  const short = work.segment.growing ? undefined : box.shortFootage.find(work.segment, run.params.packId, box.clock.now());
  if (short) {
    const matches = await matchSpans(box, camera, work.pieces);
    return { findings: judgeSegment(work, short), matches, downloadedBytes: 0, keyframesDecoded: 0, file: work.segment };
  }
  const { file, drop } = await download(box, camera, work.segment);
  try {
    keep(work.segment);
    const indexed = await index(box, camera, work.segment, file);
    const decoded = { from: indexed.coveredFromMs, to: indexed.coveredToMs, samplingMs: Math.max(0, indexed.samplingMs) };
    const findings = judgeSegment(work, decoded);
    if (findings.some((f) => f.kind === 'failed')) box.shortFootage.save(work.segment, run.params.packId, decoded, box.clock.now());
    const matches = await matchSpans(box, camera, work.pieces);
    return { findings, matches, downloadedBytes: file.sizeBytes, keyframesDecoded: indexed.keyframesDecoded, file: work.segment };
  } catch (thrown) {
    // The spool may have dropped a file that waited long: fetched once more before it counts as failed.
    if (attempt === 1 && thrown instanceof AgentError && thrown.kind === 'not_found')
      throw new AgentError(thrown.code, 'unavailable', thrown.params, thrown);
    throw thrown;
  } finally {
    drop();
  }
}

/** Another task, or this one before a restart, may have looked at the footage since the window was planned. */
async function samplingInIndex(box: SearchBox, camera: CameraRun, work: SegmentWork): Promise<number | undefined> {
  const { run } = camera;
  const from = Math.min(...work.pieces.map((p) => p.from));
  const to = Math.max(...work.pieces.map((p) => p.to));
  const leave = await box.asking.enter(camera.turn, run.signal);
  try {
    const covered = await box.neighbours.getCoverage(
      { cameraId: camera.camera.id, fromMs: from, toMs: to, packId: run.params.packId },
      run.signal,
    );
    return samplingOf(work.pieces, covered);
  } finally {
    leave();
  }
}

async function download(box: SearchBox, camera: CameraRun, segment: alioth.Segment) {
  const { run } = camera;
  const leave = await box.recorders.recorder(segment.recorderId).downloads.enter(camera.turn, run.signal);
  const startedAt = performance.now();
  try {
    const file = await box.neighbours.downloadSegment(segment, run.params.priority, run.signal);
    box.speeds.downloaded(camera.camera, run.params.packId, segment.toMs - segment.fromMs, performance.now() - startedAt, file.sizeBytes);
    return { file, drop: box.files.hold() };
  } finally {
    leave();
  }
}

async function index(
  box: SearchBox,
  camera: CameraRun,
  segment: alioth.Segment,
  file: alioth.DownloadSegmentResponse,
): Promise<mizar.IndexSegmentResponse> {
  const { run } = camera;
  const leave = await box.indexing.enter(camera.turn, run.signal);
  const measure = box.speeds.indexing();
  try {
    // A growing segment has become longer than it was listed; the file says by how much.
    const toMs = segment.growing ? Math.max(segment.toMs, segment.fromMs + file.durationMs) : segment.toMs;
    const request = { path: file.path, cameraId: camera.camera.id, fromMs: segment.fromMs, toMs, packId: run.params.packId, dryRun: false };
    const indexed = await box.neighbours.indexSegment(request, run.signal);
    measure.end(camera.camera, run.params.packId, totalMs([{ from: segment.fromMs, to: toMs }]));
    return indexed;
  } finally {
    measure.end();
    leave();
  }
}

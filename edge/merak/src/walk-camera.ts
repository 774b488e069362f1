import { type Span, subtractSpans } from '@stardipper/proto';
import { type Finding, failedSpans, knownSpans, planPage, type SegmentWork } from './coverage';
import { matchSpans } from './match-spans';
import { listingForeign, listingStuck } from './merak.errors';
import { asAgentError, persist } from './patience';
import { type CameraRun, ledgerOf, type SearchBox } from './search-box';
import { type Handed, searchSegment } from './search-segment';
import type { LookWindow } from './task';

const dayMs = 86_400_000;
/** Footage is planned a day at a time, more where the index knows it already and there is nothing to list. */
const firstWindowMs = dayMs;
const widestWindowMs = 32 * dayMs;
/** A window's known spans are written down with it. */
const maxKnownSpans = 500;
/** Less than this between two unknown stretches is listed along with them: one listing costs more than skipping a few lines of it. */
const listThroughMs = 15 * 60_000;
const pageSize = 40;

type Work = { readonly kind: 'segment'; readonly work: SegmentWork } | { readonly kind: 'known'; readonly spans: LookWindow['known'] };

/** Steps of one camera on their way to the disk; more would mean that the disk cannot follow. */
const recordingAtOnce = 64;

/** Accounts for the whole range of one camera, a bounded number of segments at a time. Throws only when aborted. */
export async function walkCamera(box: SearchBox, camera: CameraRun): Promise<void> {
  const started = new Set<Promise<void>>();
  const recording = new Set<Promise<void>>();
  let wake = () => {};
  let failure: unknown;
  const keep = (set: Set<Promise<void>>, job: Promise<void>) => {
    const kept: Promise<void> = job
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        set.delete(kept);
        wake();
      });
    set.add(kept);
  };
  const look = async (work: Work) => {
    const { recorded } = await (work.kind === 'segment' ? searchSegment(box, camera, work.work) : searchKnown(box, camera, work.spans));
    keep(recording, recorded);
  };
  const atOnce = () => Math.min(16, box.recorders.sessions(camera.camera.recorderId) + box.settings.inFlight);
  for await (const work of worksOf(box, camera)) {
    keep(started, look(work));
    while (started.size >= atOnce() || recording.size >= recordingAtOnce)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    if (failure !== undefined) break;
  }
  await Promise.all(started);
  await Promise.all(recording);
  if (failure !== undefined) throw failure;
}

/** The camera's work in order of time, planned only as far as it is asked for. */
async function* worksOf(box: SearchBox, camera: CameraRun): AsyncGenerator<Work> {
  const { range } = camera.run.params;
  let windowMs = firstWindowMs;
  /** Once the recorder cannot be listed, only the index can still answer. */
  const listing: { failed?: string } = {};
  let at = ledgerOf(camera).ledger.doneUntil;
  while (at < range.to) {
    const opened = await openWindow(box, camera, at, windowMs);
    if (!opened) return;
    const { window } = opened;
    windowMs = window.known.length < 100 ? Math.min(widestWindowMs, windowMs * 2) : firstWindowMs;
    const known = window.known.filter((span) => ledgerOf(camera).ledger.missing(span).length > 0);
    if (known.length > 0) yield { kind: 'known', spans: known };
    at = yield* unknownWorks(box, camera, { ...window, from: Math.max(at, window.from) }, opened.durable, listing);
  }
}

interface OpenWindow {
  readonly window: LookWindow;
  /** To be awaited before any footage of the window is looked at. */
  readonly durable: Promise<void>;
}

/** The next window: the one planned before a restart, or a new one. */
async function openWindow(box: SearchBox, camera: CameraRun, at: number, windowMs: number): Promise<OpenWindow | undefined> {
  const { run, position } = camera;
  const { range, packId } = run.params;
  const planned = ledgerOf(camera).window;
  if (planned && planned.from <= at && at < planned.to) return { window: planned, durable: Promise.resolve() };
  const asked = { from: at, to: Math.min(range.to, at + windowMs) };
  try {
    const covered = await persist(
      async () => {
        const leave = await box.asking.enter(camera.turn, run.signal);
        try {
          return await box.neighbours.getCoverage({ cameraId: camera.camera.id, fromMs: asked.from, toMs: asked.to, packId }, run.signal);
        } finally {
          leave();
        }
      },
      box.settings,
      { clock: box.clock, signal: run.signal },
    );
    const all = knownSpans(asked, covered);
    const known = all.slice(0, maxKnownSpans);
    const window = { from: asked.from, to: all.length > known.length ? (known.at(-1)?.to ?? asked.to) : asked.to, known };
    return { window, durable: box.journal.record(run.progress, { position, findings: [], window }) };
  } catch (thrown) {
    run.signal.throwIfAborted();
    await fail(box, camera, [{ from: at, to: range.to }], asAgentError(thrown).code);
    return undefined;
  }
}

/** Lists what the index does not know of a window, page by page. Returns where the next window starts. */
async function* unknownWorks(
  box: SearchBox,
  camera: CameraRun,
  window: LookWindow,
  durable: Promise<void>,
  listing: { failed?: string },
): AsyncGenerator<Work, number> {
  const { run } = camera;
  let at = window.from;
  for (const stretch of stretchesToList(window)) {
    at = Math.max(at, stretch.from);
    while (at < stretch.to && listing.failed === undefined) {
      const page = await listPage(box, camera, { from: at, to: stretch.to }, listing);
      if (!page) break;
      const plan = planPage({ ...page, from: at, to: stretch.to, known: window.known, end: run.params.range.to, now: box.clock.now() });
      const recorded = record(box, camera, plan.gaps);
      // Hours without footage must not run ahead of the disk.
      await (plan.works.length === 0 ? recorded : durable);
      for (const work of plan.works) yield { kind: 'segment', work };
      at = plan.next;
    }
    if (at < stretch.to) {
      await fail(box, camera, subtractSpans({ from: at, to: stretch.to }, window.known), listing.failed ?? 'internal');
      at = stretch.to;
    }
  }
  return Math.max(at, window.to);
}

function stretchesToList(window: LookWindow): Span[] {
  const stretches: Span[] = [];
  for (const hole of subtractSpans(window, window.known)) {
    const last = stretches.at(-1);
    if (last && hole.from - last.to < listThroughMs) last.to = hole.to;
    else stretches.push({ ...hole });
  }
  return stretches;
}

async function listPage(box: SearchBox, camera: CameraRun, span: Span, listing: { failed?: string }) {
  const { run } = camera;
  const { recorderId, channel } = camera.camera;
  const recorder = box.recorders.recorder(recorderId);
  const ask = async () => {
    const leave = await recorder.listings.enter(camera.turn, run.signal);
    try {
      await box.recorders.refresh(run.signal);
      const request = { recorderId, channel, fromMs: span.from, toMs: span.to, pageSize, priority: run.params.priority };
      const page = await box.neighbours.listSegments(request, run.signal);
      // A listing that claims nothing, or speaks of another camera, proves nothing.
      const listedUntil = Math.min(page.listedUntilMs, span.to);
      if (!(listedUntil > span.from)) throw listingStuck();
      if (page.segments.some((s) => s.recorderId !== recorderId || s.channel !== channel)) throw listingForeign();
      return { segments: page.segments, listedUntil };
    } finally {
      leave();
    }
  };
  const startedAt = performance.now();
  try {
    const patience = { retryMs: box.settings.retryMs, attempts: box.recorders.attempts(recorderId, box.settings.attempts) };
    const page = await persist(ask, patience, { clock: box.clock, signal: run.signal });
    recorder.unlisted.delete(channel);
    return page;
  } catch (thrown) {
    run.signal.throwIfAborted();
    recorder.unlisted.set(channel, performance.now() - startedAt);
    box.log.warn({ err: thrown, taskId: run.params.taskId, cameraId: camera.camera.id }, 'listing failed');
    listing.failed = asAgentError(thrown).code;
    return undefined;
  }
}

/** Answers from the index alone: no video, no recorder. */
async function searchKnown(box: SearchBox, camera: CameraRun, spans: LookWindow['known']): Promise<Handed> {
  const { run, position } = camera;
  try {
    const matches = await persist(() => matchSpans(box, camera, spans), box.settings, { clock: box.clock, signal: run.signal });
    const findings = spans.map((s): Finding => ({ from: s.from, to: s.to, kind: 'indexed', samplingMs: s.samplingMs }));
    return { recorded: box.journal.record(run.progress, { position, findings, matches }) };
  } catch (thrown) {
    run.signal.throwIfAborted();
    return { recorded: fail(box, camera, spans, asAgentError(thrown).code) };
  }
}

const fail = (box: SearchBox, camera: CameraRun, spans: readonly Span[], code: string) => record(box, camera, failedSpans(spans, code));

async function record(box: SearchBox, camera: CameraRun, findings: Finding[]): Promise<void> {
  if (findings.length > 0) await box.journal.record(camera.run.progress, { position: camera.position, findings });
}

import type { DatabaseSync } from 'node:sqlite';
import { type Clock, inTransaction } from '@dipper/platform';
import type { alioth, CoverageSpan, MatchReport, TaskError, TaskState } from '@stardipper/proto';
import { type CameraLedger, findingsMs, joinFindings } from './camera-ledger';
import { type Finding, failedSpans } from './coverage';
import { segmentKey } from './neighbours';
import type { OutboxStore } from './outbox.store';
import { reportPages } from './report-pages';
import { type CameraProgress, type LookWindow, rangeMs, type Task, type Totals } from './task';
import type { TaskStore } from './task.store';

/** A task in work, as it is on disk: changed only after a commit. */
export interface TaskProgress {
  readonly task: Task;
  state: TaskState;
  seq: number;
  totals: Totals;
  readonly cameras: CameraProgress[];
}

/** One step of the work, recorded whole or not at all. */
export interface Step {
  readonly position: number;
  readonly findings: readonly Finding[];
  readonly matches?: readonly MatchReport[];
  readonly window?: LookWindow;
  readonly tally?: Partial<Pick<Totals, 'segmentsDone' | 'segmentsFailed' | 'downloadedBytes' | 'keyframesDecoded'>>;
  /** Its file may go once this step is durable. */
  readonly release?: alioth.Segment;
}

interface Entry {
  readonly progress: TaskProgress;
  readonly step: Step;
  readonly resolve: () => void;
}

export interface JournalDeps {
  readonly db: DatabaseSync;
  readonly tasks: TaskStore;
  readonly outbox: OutboxStore;
  readonly clock: Clock;
  /** Told after a commit: reports and releases wait to be sent. */
  readonly committed: () => void;
  readonly failed: (error: unknown) => void;
}

/** Steps that become ready within so long of the last commit share the next one: one fsync and one report instead of many. */
const coalesceMs = 250;
/** Footage waits for its window to be written down, so that goes sooner. */
const windowCommitMs = 10;
/** More would block the process for longer than a few milliseconds. */
const stepsPerCommit = 64;
const retryCommitMs = 1_000;

interface Draft {
  readonly progress: TaskProgress;
  state: TaskState;
  readonly totals: Totals;
  readonly cameras: Map<number, CameraProgress>;
  readonly coverage: CoverageSpan[];
  readonly matches: MatchReport[];
  readonly releases: alioth.Segment[];
}

/**
 * Where work becomes durable. One transaction holds the checkpoint, the coverage, the matches and the
 * reports that tell of them, so after a power cut a step has either happened and will be reported, or has
 * not happened and is done again. On a full disk the steps wait in memory and are tried again: who records
 * a step waits for it, so they cannot pile up.
 */
export class Journal {
  private waiting: Entry[] = [];
  private timer: NodeJS.Timeout | undefined;
  private dueAt = 0;
  private lastCommit = 0;
  /** Set while commits fail. */
  broken: unknown;

  constructor(private readonly deps: JournalDeps) {}

  /** Resolves when the step is durable. A step of a task that has ended meanwhile only lets its file go: its time is already accounted for. */
  record(progress: TaskProgress, step: Step): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push({ progress, step, resolve });
      this.schedule(this.completes(progress) ? 0 : step.window ? windowCommitMs : this.lastCommit + coalesceMs - Date.now());
    });
  }

  /** Sets the state to running; the first report says so. */
  begin(progress: TaskProgress): void {
    this.commit([draftOf(progress, 'running')], []);
  }

  /** Ends the task now; what is not accounted for counts as failed with `reason`. Throws, with nothing changed, when it cannot be written. */
  end(progress: TaskProgress, state: TaskState, reason: string, error?: TaskError): void {
    const mine = this.waiting.filter((entry) => entry.progress === progress);
    this.waiting = this.waiting.filter((entry) => entry.progress !== progress);
    const draft = draftOf(progress, progress.state);
    for (const entry of mine) enter(draft, entry.step);
    for (const position of progress.cameras.keys())
      enter(draft, { position, findings: failedSpans(cameraOf(draft, position).ledger.rest(), reason) });
    draft.state = state;
    try {
      this.commit([draft], mine, error);
    } catch (failure) {
      this.waiting.unshift(...mine);
      throw failure;
    }
  }

  /** Writes what waits now; for a clean stop. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    try {
      while (this.waiting.length > 0) this.commitSome();
      this.broken = undefined;
    } catch (error) {
      this.broken = error;
      this.deps.failed(error);
      this.timer = setTimeout(() => this.flush(), retryCommitMs);
    }
  }

  stop(): void {
    this.flush();
    clearTimeout(this.timer);
  }

  private schedule(inMs: number): void {
    if (this.broken !== undefined) return;
    const dueAt = Date.now() + Math.max(0, inMs);
    if (this.timer && this.dueAt <= dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = dueAt;
    this.timer = setTimeout(() => this.flush(), Math.max(0, inMs));
  }

  /** A task's last step does not wait for company: a repeated search is over in milliseconds. */
  private completes(progress: TaskProgress): boolean {
    const waitingMs = this.waiting.reduce((sum, e) => (e.progress === progress ? sum + findingsMs(e.step.findings) : sum), 0);
    return progress.totals.doneMs + waitingMs >= rangeMs(progress.task);
  }

  private commitSome(): void {
    const entries = this.waiting.slice(0, stepsPerCommit);
    const drafts = new Map<TaskProgress, Draft>();
    const orphans: alioth.Segment[] = [];
    for (const { progress, step } of entries) {
      if (progress.state !== 'running') {
        if (step.release) orphans.push(step.release);
        continue;
      }
      const draft = drafts.get(progress) ?? draftOf(progress, 'running');
      drafts.set(progress, draft);
      enter(draft, step);
    }
    for (const draft of drafts.values()) {
      const complete = draft.progress.cameras.every((_, position) => cameraNow(draft, position).ledger.complete);
      if (complete) draft.state = 'finished';
    }
    this.commit([...drafts.values()], entries, undefined, orphans);
    this.waiting.splice(0, entries.length);
  }

  private commit(drafts: readonly Draft[], entries: readonly Entry[], error?: TaskError, orphans: readonly alioth.Segment[] = []): void {
    const idle = drafts.length === 0 && orphans.length === 0;
    const write = () => {
      for (const segment of orphans) this.deps.outbox.addRelease(segmentKey(segment), segment);
      return drafts.map((draft) => this.write(draft, error));
    };
    const written = idle ? [] : inTransaction(this.deps.db, write);
    this.lastCommit = Date.now();
    for (const [index, draft] of drafts.entries()) {
      const { progress } = draft;
      progress.state = draft.state;
      progress.seq = written[index]?.seq ?? progress.seq;
      progress.totals = written[index]?.totals ?? progress.totals;
      for (const [position, camera] of draft.cameras) progress.cameras[position] = camera;
    }
    for (const entry of entries) entry.resolve();
    if (!idle) this.deps.committed();
  }

  private write(draft: Draft, error: TaskError | undefined): { seq: number; totals: Totals } {
    const { tasks, outbox, clock } = this.deps;
    const { task } = draft.progress;
    const { taskId, searchId, packId } = task.params;
    const now = clock.now();
    const fresh = draft.matches.filter((m) => tasks.addMatch(taskId, m.sightingId, m.personId));
    const totals = { ...draft.totals, matches: draft.totals.matches + fresh.length };
    let seq = draft.progress.seq;
    const silent = draft.state === 'running' && seq > 0 && draft.coverage.length === 0 && fresh.length === 0;
    const pages = silent ? [] : reportPages(draft.coverage, fresh);
    for (const [index, page] of pages.entries()) {
      seq += 1;
      const last = index === pages.length - 1;
      const state = last ? draft.state : 'running';
      const body = { id: `${taskId}:${seq}`, taskId, searchId, seq, state, packId, ...page, totals: { rangeMs: rangeMs(task), ...totals } };
      outbox.add(last && error ? { ...body, error } : body, [...new Set(page.matches.map((m) => m.sightingId))], now);
    }
    for (const [position, camera] of draft.cameras) tasks.saveCamera(taskId, position, camera);
    for (const segment of draft.releases) outbox.addRelease(segmentKey(segment), segment);
    const ended = draft.state !== 'running';
    tasks.save(taskId, draft.state, seq, totals, ended ? now : null);
    if (ended) tasks.dropWorkingState(taskId);
    return { seq, totals };
  }
}

const draftOf = (progress: TaskProgress, state: TaskState): Draft => ({
  progress,
  state,
  totals: { ...progress.totals },
  cameras: new Map(),
  coverage: [],
  matches: [],
  releases: [],
});

const cameraNow = (draft: Draft, position: number): { ledger: CameraLedger } => {
  const camera = draft.cameras.get(position) ?? draft.progress.cameras[position];
  if (!camera) throw new Error(`task ${draft.progress.task.params.taskId} has no camera ${position}`);
  return camera;
};

/** The camera's progress within this draft, copied at the first touch: a failed commit leaves memory as it was. */
function cameraOf(draft: Draft, position: number): CameraProgress {
  const touched = draft.cameras.get(position);
  if (touched) return touched;
  const current: CameraProgress = cameraNow(draft, position);
  const copy = { ...current, ledger: current.ledger.copy() };
  draft.cameras.set(position, copy);
  return copy;
}

function enter(draft: Draft, step: Step): void {
  const cameraId = draft.progress.task.params.cameras[step.position]?.id ?? '';
  if (step.window || step.findings.length > 0) {
    const camera = cameraOf(draft, step.position);
    if (step.window) camera.window = step.window;
    const fresh = joinFindings(step.findings.flatMap((finding) => camera.ledger.enter(finding)));
    draft.totals.doneMs += findingsMs(fresh);
    const last = draft.coverage.at(-1);
    const first = fresh[0];
    // Steps of one camera in a row usually continue each other; joining them keeps reports small.
    if (
      last &&
      first &&
      last.cameraId === cameraId &&
      last.to === first.from &&
      last.kind === first.kind &&
      last.reason === first.reason &&
      last.samplingMs === first.samplingMs
    ) {
      last.to = first.to;
      fresh.shift();
    }
    draft.coverage.push(...fresh.map((finding) => ({ cameraId, ...finding })));
  }
  for (const [name, count] of Object.entries(step.tally ?? {})) draft.totals[name as keyof Totals] += count;
  draft.matches.push(...(step.matches ?? []));
  if (step.release) draft.releases.push(step.release);
}

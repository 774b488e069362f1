import { setMaxListeners } from 'node:events';
import { AgentError } from '@dipper/platform';
import type { TaskError, TaskState } from '@stardipper/proto';
import { failedSpans } from './coverage';
import type { Journal, TaskProgress } from './journal';
import { packNotInstalled, reasons } from './merak.errors';
import { asAgentError, persist } from './patience';
import { fetchQuery, readQuery } from './read-query';
import { BoxStopping, type SearchBox, TaskEnded, type TaskRun } from './search-box';
import type { Task } from './task';
import type { TaskStore, UnfinishedTask } from './task.store';
import { walkCamera } from './walk-camera';

export interface RunDeps {
  readonly box: SearchBox;
  readonly tasks: TaskStore;
  readonly journal: Journal;
  /** Aborts when the process ends. */
  readonly signal: AbortSignal;
}

/** Of each priority so many tasks are at work at once; urgent tasks therefore never wait for a place, only for their turn. */
const runningPerPriority = 3;
const fetchingAtOnce = 4;
const checkEveryMs = 500;
const gentleMs = 5;

/** Carries accepted tasks to their end: fetches queries, starts tasks by priority and age, ends them when they expire or are cancelled. */
export class TaskRunner {
  private readonly running = new Map<string, { run: TaskRun; abort: AbortController; done: Promise<void> }>();
  private readonly fetching = new Map<string, { abort: AbortController; done: Promise<void> }>();
  private timer: NodeJS.Timeout | undefined;
  private checking = false;
  /** Tasks that failed and are ended at the next check. */
  private readonly doomed = new Map<string, TaskError>();

  constructor(private readonly deps: RunDeps) {}

  get runningCount(): number {
    return this.running.size;
  }

  start(): void {
    this.check();
  }

  /** Looks again soon: something was accepted, cancelled, fetched or finished. */
  poke(): void {
    this.lookAgain(() => setImmediate(() => this.checkPoked()));
  }

  /** As `poke`, but lets an answer that is being written leave first: starting a task takes longer than accepting one. */
  pokeGently(): void {
    this.lookAgain(() => setTimeout(() => this.checkPoked(), gentleMs));
  }

  private lookAgain(later: () => void): void {
    if (this.checking || this.deps.signal.aborted) return;
    this.checking = true;
    later();
  }

  private checkPoked(): void {
    this.checking = false;
    this.check();
  }

  /** Aborts all work and waits for it to let go. What was recorded stays; the rest is done again after the next start. */
  async stop(): Promise<void> {
    clearTimeout(this.timer);
    const all = [...this.running.values(), ...this.fetching.values()];
    for (const { abort } of all) abort.abort(new BoxStopping());
    await Promise.all(all.map(({ done }) => done));
  }

  private check(): void {
    const { box, tasks, signal } = this.deps;
    clearTimeout(this.timer);
    if (signal.aborted) return;
    this.timer = setTimeout(() => this.check(), checkEveryMs);
    try {
      const unfinished = tasks.unfinished().filter((task) => !this.endWhenDue(task));
      for (const task of unfinished) this.ensureQuery(task);
      this.startTasks(unfinished);
    } catch (error) {
      // Disk full, usually: nothing was changed, and the next check tries again.
      box.log.error({ err: error }, 'tasks not checked');
    }
  }

  private endWhenDue(task: UnfinishedTask): boolean {
    const doom = this.doomed.get(task.taskId);
    if (task.cancelRequested) this.end(task.taskId, 'cancelled', reasons.cancelled);
    else if (doom) this.end(task.taskId, 'failed', doom.code, doom);
    else if (task.expiresAt <= this.deps.box.clock.now()) this.end(task.taskId, 'expired', reasons.expired);
    else return false;
    return true;
  }

  private end(taskId: string, state: TaskState, reason: string, error?: TaskError): void {
    const active = this.running.get(taskId);
    const progress = active?.run.progress ?? this.progressOf(this.stored(taskId));
    this.deps.journal.end(progress, state, reason, error);
    this.doomed.delete(taskId);
    active?.abort.abort(new TaskEnded());
    this.fetching.get(taskId)?.abort.abort(new TaskEnded());
    this.running.delete(taskId);
    this.deps.box.log.info({ taskId, state }, 'task ended');
  }

  private stored(taskId: string): Task {
    const task = this.deps.tasks.get(taskId);
    if (!task) throw new Error(`task ${taskId} is gone`);
    return task;
  }

  private progressOf(task: Task): TaskProgress {
    return { task, state: task.state, seq: task.seq, totals: task.totals, cameras: this.deps.tasks.cameras(task) };
  }

  /** Fetched as soon as a task is accepted, also while it waits for its turn: a signed address does not live long. */
  private ensureQuery({ taskId, hasQuery }: UnfinishedTask): void {
    if (hasQuery || this.fetching.size >= fetchingAtOnce || this.fetching.has(taskId)) return;
    const abort = new AbortController();
    const done = this.fetch(taskId, abort.signal)
      .catch((error: unknown) => this.giveUp(taskId, error, abort.signal))
      .finally(() => {
        this.fetching.delete(taskId);
        this.poke();
      });
    this.fetching.set(taskId, { abort, done });
  }

  private async fetch(taskId: string, signal: AbortSignal): Promise<void> {
    const { box, tasks } = this.deps;
    const patience = { retryMs: Math.min(1_000, box.settings.retryMs), attempts: Number.POSITIVE_INFINITY };
    // The newest address: a repeated createTask may have brought a fresh one.
    const work = () => fetchQuery(this.stored(taskId).params, signal);
    const document = await persist(work, patience, { clock: box.clock, signal });
    if (!signal.aborted) tasks.putQuery(taskId, document);
  }

  private async giveUp(taskId: string, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.deps.box.log.warn({ err: error, taskId }, 'task failed');
    const { code, params } = asAgentError(error);
    // A disk too full for the query heals by itself, but not at once; meanwhile Star is not to be asked for it again.
    if (error instanceof AgentError) this.doomed.set(taskId, { code, params });
    else await this.deps.box.clock.sleep(this.deps.box.settings.retryMs, signal).catch(() => {});
    this.poke();
  }

  private startTasks(unfinished: readonly UnfinishedTask[]): void {
    const taken = new Map<number, number>();
    const count = (priority: number) => taken.set(priority, (taken.get(priority) ?? 0) + 1);
    for (const { run } of this.running.values()) count(run.params.priority);
    for (const { taskId, priority, hasQuery } of unfinished) {
      if (!hasQuery || this.running.has(taskId) || (taken.get(priority) ?? 0) >= runningPerPriority) continue;
      this.startTask(this.stored(taskId));
      count(priority);
    }
  }

  private startTask(task: Task): void {
    const { tasks, journal } = this.deps;
    const { taskId, packId } = task.params;
    const document = tasks.query(taskId);
    if (!document) return;
    const progress = this.progressOf(task);
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const run: TaskRun = { params: task.params, progress, query: readQuery(document, packId), signal: abort.signal };
    if (task.state === 'accepted') journal.begin(progress);
    const done = this.carry(run, task)
      .catch((error: unknown) => this.giveUp(taskId, error, abort.signal))
      .finally(() => {
        if (this.running.get(taskId)?.run === run && progress.state !== 'running') this.running.delete(taskId);
        this.poke();
      });
    this.running.set(taskId, { run, abort, done });
  }

  private async carry(run: TaskRun, task: Task): Promise<void> {
    const { box } = this.deps;
    const { taskId, packId, priority } = run.params;
    const env = { clock: box.clock, signal: run.signal };
    const [pack] = await Promise.all([
      persist(() => box.neighbours.getPack(run.signal), { ...box.settings, attempts: Number.POSITIVE_INFINITY }, env),
      box.recorders.refresh(run.signal),
    ]);
    if (pack.packId !== packId) throw packNotInstalled(packId, pack.packId);
    await Promise.all(
      run.params.cameras.map(async (camera, position) => {
        const turn = { taskId, priority, order: task.order, camera: camera.id };
        const walk = { run, camera, position, turn };
        await walkCamera(box, walk).catch((error: unknown) => this.failCamera(walk.position, run, error));
      }),
    );
  }

  /** A bug or an impossible answer costs one camera, not the task. */
  private async failCamera(position: number, run: TaskRun, error: unknown): Promise<void> {
    if (run.signal.aborted) return;
    const { box, journal } = this.deps;
    box.log.error({ err: error, taskId: run.params.taskId }, 'camera failed');
    const rest = run.progress.cameras[position]?.ledger.rest() ?? [];
    await journal.record(run.progress, { position, findings: failedSpans(rest, asAgentError(error).code) });
  }
}

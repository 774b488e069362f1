import { isFinal, type Search, type SearchTask, type TaskError, type TaskState } from '@stardipper/proto';

export type StarTaskState = SearchTask['state'];
export type SearchState = Search['state'];

/** Everything Star knows about one task. It is a set of facts, so the order in which they became known is lost on purpose. */
export interface TaskFacts {
  /** The box answered createTask with `accepted`. */
  readonly accepted: boolean;
  /** createTask was refused, expired, failed or timed out. */
  readonly rpcError: TaskError | null;
  /** Star stopped waiting: past expiry and grace without the last report. */
  readonly sweptAt: Date | null;
  /** All reports 1..settledSeq are here. */
  readonly settledSeq: number;
  readonly highestSeq: number;
  readonly highestState: TaskState | null;
  readonly reportError: TaskError | null;
}

/** The box said it is done, and every report up to that one is here. */
export const isComplete = (task: TaskFacts): boolean =>
  task.highestState !== null && isFinal(task.highestState) && task.settledSeq === task.highestSeq;

/**
 * Reports beat everything: a box that reports has the task, even if the RPC's answer was lost on the way and
 * even if Star had given it up; but a task given up stays `expired` until its reports are complete.
 */
export function stateOfTask(task: TaskFacts): StarTaskState {
  if (isComplete(task)) return task.highestState as TaskState;
  if (task.sweptAt) return 'expired';
  if (task.highestState !== null) return isFinal(task.highestState) ? 'running' : task.highestState;
  if (task.rpcError) return 'failed';
  return task.accepted ? 'accepted' : 'requested';
}

export function errorOfTask(task: TaskFacts): TaskError | null {
  if (isComplete(task)) return task.reportError;
  if (task.sweptAt) return { code: 'task_expired' };
  if (task.highestState !== null) return null;
  return task.rpcError;
}

export const isFinalTask = (state: StarTaskState): boolean => state !== 'requested' && isFinal(state);

/** Failed only when no task brought anything; one refused box does not hide what the others found. */
export function stateOfSearch(tasks: readonly StarTaskState[], cancelled: boolean): SearchState {
  if (cancelled) return 'cancelled';
  if (!tasks.every(isFinalTask)) return 'running';
  return tasks.every((state) => state === 'failed' || state === 'expired') ? 'failed' : 'finished';
}

/** Why the time that no report mentions was not searched, once nothing more will come. */
export function gapReason(task: TaskFacts): string {
  const error = errorOfTask(task);
  if (error) return error.code.slice(0, 64);
  const state = stateOfTask(task);
  return state === 'finished' ? 'not_reported' : `task_${state}`;
}

import { createHash } from 'node:crypto';
import type { CreateTaskParams, Span, TaskReport, TaskState } from '@stardipper/proto';
import type { CameraLedger } from './camera-ledger';

export type Totals = Omit<TaskReport['totals'], 'rangeMs'>;

export const noTotals: Totals = { doneMs: 0, segmentsDone: 0, segmentsFailed: 0, downloadedBytes: 0, keyframesDecoded: 0, matches: 0 };

/** A task as it is stored. */
export interface Task {
  readonly params: CreateTaskParams;
  /** Counts up with every accepted task. */
  readonly order: number;
  readonly acceptedAt: number;
  readonly state: TaskState;
  readonly cancelRequested: boolean;
  /** Of the last report. */
  readonly seq: number;
  readonly totals: Totals;
}

/** What the index held of a stretch of time when the task first looked at it; kept, so that a restarted box calls the same spans `indexed`. */
export interface LookWindow extends Span {
  readonly known: readonly { from: number; to: number; samplingMs: number }[];
}

/** How far a task is with one of its cameras. */
export interface CameraProgress {
  ledger: CameraLedger;
  window?: LookWindow;
}

export const rangeMs = (task: Pick<Task, 'params'>): number => (task.params.range.to - task.params.range.from) * task.params.cameras.length;

/**
 * Names the content of a createTask: the same id with the same hash is a repeat. The query's address is left
 * out, because a signed address may be signed again; its hash is not.
 */
export function contentHash(params: CreateTaskParams): string {
  const { url: _, ...query } = params.query;
  return createHash('sha256')
    .update(stableJson({ ...params, query }))
    .digest('hex');
}

function stableJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stableJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${stableJson(item)}`).join(',')}}`;
}

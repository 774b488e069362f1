import type { DatabaseSync } from 'node:sqlite';
import type { CreateTaskParams, Span, TaskState } from '@stardipper/proto';
import { CameraLedger } from './camera-ledger';
import type { CameraProgress, LookWindow, Task, Totals } from './task';

interface TaskRow {
  accepted_order: number;
  state: string;
  accepted_at_ms: number;
  cancel_requested: number;
  params: string;
  seq: number;
  done_ms: number;
  segments_done: number;
  segments_failed: number;
  downloaded_bytes: number;
  keyframes_decoded: number;
  matches: number;
}

interface PendingRow {
  id: string;
  state: string;
  priority: number;
  expires_at_ms: number;
  cancel_requested: number;
  has_query: number;
}

/** What decides what happens next with a task. */
export interface UnfinishedTask {
  readonly taskId: string;
  readonly state: TaskState;
  readonly priority: number;
  readonly expiresAt: number;
  readonly cancelRequested: boolean;
  readonly hasQuery: boolean;
}

const unfinished = `state IN ('accepted', 'running')`;

/** Tasks, their cameras' progress and their queries. Every method is synchronous; the caller makes the transaction. */
export class TaskStore {
  private readonly statements;
  private nextOrder: number;

  constructor(db: DatabaseSync) {
    const sql = (text: string) => db.prepare(text);
    this.statements = {
      insert:
        sql(`INSERT INTO tasks (id, accepted_order, state, priority, expires_at_ms, accepted_at_ms, cancel_requested, content_hash, params)
        VALUES (?, ?, 'accepted', ?, ?, ?, ?, ?, ?)`),
      hash: sql('SELECT content_hash, state FROM tasks WHERE id = ?'),
      readdress: sql(
        `UPDATE tasks SET params = ? WHERE id = ? AND state = 'accepted' AND NOT EXISTS (SELECT 1 FROM queries WHERE task_id = tasks.id)`,
      ),
      get: sql('SELECT * FROM tasks WHERE id = ?'),
      // Without the parameters: with a thousand tasks waiting, reading those would hold up accepting.
      pending:
        sql(`SELECT id, state, priority, expires_at_ms, cancel_requested, EXISTS (SELECT 1 FROM queries WHERE task_id = tasks.id) AS has_query
        FROM tasks WHERE ${unfinished} ORDER BY accepted_order`),
      countUnfinished: sql(`SELECT count(*) AS n FROM tasks WHERE ${unfinished}`),
      counts: sql('SELECT state, count(*) AS n FROM tasks GROUP BY state'),
      totals: sql(
        'SELECT coalesce(sum(segments_done), 0) AS segments_done, coalesce(sum(segments_failed), 0) AS segments_failed, coalesce(sum(matches), 0) AS matches FROM tasks',
      ),
      cancel: sql(`UPDATE tasks SET cancel_requested = 1 WHERE id = ? AND ${unfinished}`),
      tombstone: sql('INSERT OR IGNORE INTO cancelled_tasks (task_id, at_ms) VALUES (?, ?)'),
      isTombstoned: sql('SELECT 1 AS yes FROM cancelled_tasks WHERE task_id = ?'),
      save: sql(`UPDATE tasks SET state = ?, seq = ?, done_ms = ?, segments_done = ?, segments_failed = ?, downloaded_bytes = ?,
        keyframes_decoded = ?, matches = ?, finished_at_ms = ? WHERE id = ?`),
      cameras: sql('SELECT position, done_until_ms, done_ahead, look_window FROM task_cameras WHERE task_id = ? ORDER BY position'),
      saveCamera: sql(`INSERT INTO task_cameras (task_id, position, done_until_ms, done_ahead, look_window) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (task_id, position) DO UPDATE SET done_until_ms = excluded.done_until_ms, done_ahead = excluded.done_ahead, look_window = excluded.look_window`),
      dropCameras: sql('DELETE FROM task_cameras WHERE task_id = ?'),
      putQuery: sql('INSERT OR REPLACE INTO queries (task_id, document) VALUES (?, ?)'),
      query: sql('SELECT document FROM queries WHERE task_id = ?'),
      tasksWithQuery: sql('SELECT task_id FROM queries'),
      dropQuery: sql('DELETE FROM queries WHERE task_id = ?'),
      match: sql('INSERT OR IGNORE INTO task_matches (task_id, sighting_id, person_id) VALUES (?, ?, ?)'),
      // Deleted in small steps: a task may have a million matches, and a transaction holds up accepting.
      pruneMatches: sql(`DELETE FROM task_matches WHERE (task_id, sighting_id, person_id) IN (
        SELECT m.task_id, m.sighting_id, m.person_id FROM tasks t CROSS JOIN task_matches m ON m.task_id = t.id
        WHERE NOT t.${unfinished} LIMIT 500)`),
      pruneTasks: sql(`DELETE FROM tasks WHERE id IN (SELECT t.id FROM tasks t WHERE t.finished_at_ms < ?
        AND NOT EXISTS (SELECT 1 FROM outgoing_reports r WHERE r.task_id = t.id)
        AND NOT EXISTS (SELECT 1 FROM task_matches m WHERE m.task_id = t.id) LIMIT 50)`),
      pruneTombstones: sql('DELETE FROM cancelled_tasks WHERE at_ms < ?'),
      lastOrder: sql('SELECT coalesce(max(accepted_order), 0) AS n FROM tasks'),
    };
    this.nextOrder = (this.statements.lastOrder.get() as { n: number }).n + 1;
  }

  insert(params: CreateTaskParams, hash: string, now: number, cancelled: boolean): void {
    this.statements.insert.run(
      params.taskId,
      this.nextOrder,
      params.priority,
      params.expiresAt,
      now,
      cancelled ? 1 : 0,
      hash,
      JSON.stringify(params),
    );
    this.nextOrder += 1;
  }

  contentHash(taskId: string): string | undefined {
    return (this.statements.hash.get(taskId) as { content_hash: string } | undefined)?.content_hash;
  }

  /** A repeat may bring a freshly signed address; it counts while the query has not been fetched. */
  readdress(params: CreateTaskParams): void {
    this.statements.readdress.run(JSON.stringify(params), params.taskId);
  }

  get(taskId: string): Task | undefined {
    const row = this.statements.get.get(taskId) as unknown as TaskRow | undefined;
    return row && taskOf(row);
  }

  /** In the order they were accepted. */
  unfinished(): UnfinishedTask[] {
    return (this.statements.pending.all() as unknown as PendingRow[]).map((row) => ({
      taskId: row.id,
      state: row.state as TaskState,
      priority: row.priority,
      expiresAt: row.expires_at_ms,
      cancelRequested: row.cancel_requested === 1,
      hasQuery: row.has_query === 1,
    }));
  }

  countUnfinished(): number {
    return (this.statements.countUnfinished.get() as { n: number }).n;
  }

  counts(): Partial<Record<TaskState, number>> {
    const rows = this.statements.counts.all() as unknown as { state: TaskState; n: number }[];
    return Object.fromEntries(rows.map((row) => [row.state, row.n]));
  }

  /** Summed over the tasks that are still remembered. */
  totals(): Record<string, number> {
    return { ...(this.statements.totals.get() as Record<string, number>) };
  }

  /** Marks a task to be cancelled, or remembers the id for a createTask that comes later. */
  requestCancel(taskId: string, now: number): void {
    if (this.contentHash(taskId) === undefined) this.statements.tombstone.run(taskId, now);
    else this.statements.cancel.run(taskId);
  }

  isTombstoned(taskId: string): boolean {
    return this.statements.isTombstoned.get(taskId) !== undefined;
  }

  save(taskId: string, state: TaskState, seq: number, totals: Totals, finishedAt: number | null): void {
    const t = totals;
    this.statements.save.run(
      state,
      seq,
      t.doneMs,
      t.segmentsDone,
      t.segmentsFailed,
      t.downloadedBytes,
      t.keyframesDecoded,
      t.matches,
      finishedAt,
      taskId,
    );
  }

  cameras(task: Task): CameraProgress[] {
    const rows = this.statements.cameras.all(task.params.taskId) as unknown as {
      position: number;
      done_until_ms: number;
      done_ahead: string;
      look_window: string | null;
    }[];
    const stored = new Map(rows.map((row) => [row.position, row]));
    return task.params.cameras.map((_, position) => {
      const row = stored.get(position);
      if (!row) return { ledger: new CameraLedger(task.params.range) };
      const ledger = new CameraLedger(task.params.range, row.done_until_ms, JSON.parse(row.done_ahead) as Span[]);
      return row.look_window ? { ledger, window: JSON.parse(row.look_window) as LookWindow } : { ledger };
    });
  }

  saveCamera(taskId: string, position: number, { ledger, window }: CameraProgress): void {
    this.statements.saveCamera.run(
      taskId,
      position,
      ledger.doneUntil,
      JSON.stringify(ledger.ahead),
      window ? JSON.stringify(window) : null,
    );
  }

  /** What only a running task needs. The query holds people's faces and goes first. */
  dropWorkingState(taskId: string): void {
    this.statements.dropQuery.run(taskId);
    this.statements.dropCameras.run(taskId);
  }

  putQuery(taskId: string, document: Uint8Array): void {
    this.statements.putQuery.run(taskId, document);
  }

  query(taskId: string): Uint8Array | undefined {
    return (this.statements.query.get(taskId) as { document: Uint8Array } | undefined)?.document;
  }

  /** Tasks whose question is kept here. */
  tasksWithQuery(): string[] {
    return (this.statements.tasksWithQuery.all() as { task_id: string }[]).map((row) => row.task_id);
  }

  /** The question goes at once; the rest when the task ends. */
  dropQuery(taskId: string): void {
    this.statements.dropQuery.run(taskId);
  }

  /** True when this task has not had this match before. */
  addMatch(taskId: string, sightingId: string, personId: string): boolean {
    return Number(this.statements.match.run(taskId, sightingId, personId).changes) === 1;
  }

  /** Forgets what is finished and delivered, a little at a time. */
  prune(finishedBefore: number): void {
    this.statements.pruneMatches.run();
    this.statements.pruneTasks.run(finishedBefore);
    this.statements.pruneTombstones.run(finishedBefore);
  }
}

function taskOf(row: TaskRow): Task {
  return {
    params: JSON.parse(row.params) as CreateTaskParams,
    order: row.accepted_order,
    acceptedAt: row.accepted_at_ms,
    state: row.state as TaskState,
    cancelRequested: row.cancel_requested === 1,
    seq: row.seq,
    totals: {
      doneMs: row.done_ms,
      segmentsDone: row.segments_done,
      segmentsFailed: row.segments_failed,
      downloadedBytes: row.downloaded_bytes,
      keyframesDecoded: row.keyframes_decoded,
      matches: row.matches,
    },
  };
}

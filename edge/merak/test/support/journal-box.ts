import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { openSqlite } from '@dipper/platform';
import { migrations } from '../../src/migrations';
import { OutboxStore } from '../../src/outbox.store';
import { TaskStore } from '../../src/task.store';
import type { Progress } from './journal-steps';
import { taskNumber } from './journal-steps';

export interface JournalBox {
  readonly db: DatabaseSync;
  readonly tasks: TaskStore;
  readonly outbox: OutboxStore;
}

export function openBox(folder: string): JournalBox {
  const db = openSqlite(join(folder, 'merak', 'merak.db'), migrations);
  return { db, tasks: new TaskStore(db), outbox: new OutboxStore(db) };
}

/** How far the stores say it is. */
export function progressIn({ tasks, outbox }: JournalBox): Progress {
  const accepted = [];
  for (let task = tasks.get(taskNumber(0).taskId); task; task = tasks.get(taskNumber(accepted.length).taskId)) accepted.push(task);
  const begun = accepted.filter((task) => task.state !== 'accepted').length;
  const steps = accepted.reduce((sum, task) => sum + task.totals.segmentsDone, 0);
  return { accepted: accepted.length, begun, steps, delivered: accepted.reduce((sum, task) => sum + task.seq, 0) - outbox.count() };
}

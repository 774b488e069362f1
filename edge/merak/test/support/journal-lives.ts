/** Accepts tasks, records their steps and has reports delivered until it is killed; goes on from what it finds. Says how far it has promised to be. */
import { writeSync } from 'node:fs';
import { inTransaction, systemClock } from '@dipper/platform';
import { acceptTask } from '../../src/accept-task';
import { CameraChannels } from '../../src/camera-channels.store';
import { Journal, type TaskProgress } from '../../src/journal';
import { openBox, progressIn } from './journal-box';
import { deliveredAtOnce, nextOf, stepNumber, taskNumber } from './journal-steps';

async function main(folder: string): Promise<void> {
  const box = openBox(folder);
  const { db, tasks, outbox } = box;
  const failed = (error: unknown) => {
    throw error;
  };
  const journal = new Journal({ db, tasks, outbox, clock: systemClock, committed: () => {}, failed });
  const accept = acceptTask({
    db,
    tasks,
    channels: new CameraChannels(db),
    clock: systemClock,
    maxTasks: 10_000,
    hasSpace: () => true,
    changed: () => {},
  });
  const known = new Map<string, TaskProgress>();
  const progressOf = (taskId: string): TaskProgress => {
    const task = tasks.get(taskId);
    if (!task) throw new Error(`${taskId} is gone`);
    const progress = known.get(taskId) ?? { task, state: task.state, seq: task.seq, totals: task.totals, cameras: tasks.cameras(task) };
    known.set(taskId, progress);
    return progress;
  };
  let at = progressIn(box);
  const say = () => writeSync(1, `${JSON.stringify(at)}\n`);
  say();
  for (;;) {
    const { does, after } = nextOf(at);
    const step = stepNumber(at.steps);
    if (does === 'accept') accept(taskNumber(at.accepted));
    if (does === 'begin') journal.begin(progressOf(taskNumber(at.begun).taskId));
    if (does === 'record') await journal.record(progressOf(step.taskId), step);
    if (does === 'deliver') inTransaction(db, () => outbox.delivered(outbox.page(deliveredAtOnce).until));
    at = after;
    say();
  }
}

void main(process.argv[2] as string);

import type { DatabaseSync } from 'node:sqlite';
import { type Clock, inTransaction } from '@dipper/platform';
import { type CreateTaskParams, type CreateTaskReply, cancelTaskParams, createTaskParams } from '@stardipper/proto';
import type { CameraChannels } from './camera-channels.store';
import { fieldMalformed, isDiskFull, noSpace, taskConflict, taskExpired, taskMalformed, tooManyTasks } from './merak.errors';
import { contentHash } from './task';
import type { TaskStore } from './task.store';

export interface AcceptDeps {
  readonly db: DatabaseSync;
  readonly tasks: TaskStore;
  readonly channels: CameraChannels;
  readonly clock: Clock;
  readonly maxTasks: number;
  /** False while the disk is too full to take on work. */
  readonly hasSpace: () => boolean;
  /** Told after the task or the wish to cancel is durable. */
  readonly changed: () => void;
}

/**
 * Takes a task: it and its cameras are written down, and nothing else. A repeat is accepted again; throws task.malformed,
 * task.conflict, task.expired, task.too_many or task.no_space.
 */
export function acceptTask({ db, tasks, channels, clock, maxTasks, hasSpace, changed }: AcceptDeps) {
  return (given: unknown): CreateTaskReply => {
    const params = parse(given);
    const hash = contentHash(params);
    const known = tasks.contentHash(params.taskId);
    if (known !== undefined) {
      if (known !== hash) throw taskConflict(params.taskId);
      tasks.readdress(params);
      return { accepted: true, taskId: params.taskId };
    }
    const now = clock.now();
    if (params.expiresAt <= now) throw taskExpired(params.expiresAt);
    if (tasks.countUnfinished() >= maxTasks) throw tooManyTasks(maxTasks);
    if (!hasSpace()) throw noSpace();
    try {
      inTransaction(db, () => {
        tasks.insert(params, hash, now, tasks.isTombstoned(params.taskId));
        channels.put(params.cameras, now);
      });
    } catch (error) {
      throw isDiskFull(error) ? noSpace() : error;
    }
    changed();
    return { accepted: true, taskId: params.taskId };
  };
}

/** Ends a task, now or when it arrives. Repeating it, or cancelling what has ended, changes nothing and is answered alike. */
export function cancelTask({ db, tasks, clock, changed }: AcceptDeps) {
  return (given: unknown): CreateTaskReply => {
    const parsed = cancelTaskParams.safeParse(given);
    if (!parsed.success) throw taskMalformed(parsed.error.issues);
    try {
      inTransaction(db, () => tasks.requestCancel(parsed.data.taskId, clock.now()));
    } catch (error) {
      throw isDiskFull(error) ? noSpace() : error;
    }
    changed();
    return { accepted: true, taskId: parsed.data.taskId };
  };
}

function parse(given: unknown): CreateTaskParams {
  const parsed = createTaskParams.safeParse(given);
  if (!parsed.success) throw taskMalformed(parsed.error.issues);
  const seen = new Set<string>();
  for (const [position, camera] of parsed.data.cameras.entries()) {
    if (seen.has(camera.id)) throw fieldMalformed(`/cameras/${position}/id`, 'duplicate');
    seen.add(camera.id);
  }
  return parsed.data;
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Tx } from '../postgres/database';
import { createLeases } from '../postgres/leases';
import type { Log } from '../postgres/open-database';
import { sweepInbox } from './inbox.store';
import type { PostgresBus } from './postgres-log';
import { sweepDeadLetters } from './postgres-log.store';

export interface UpkeepOptions {
  readonly db: Database;
  /** Absent with Kafka, which keeps its own retention; the inbox is swept all the same. */
  readonly bus?: Pick<PostgresBus, 'deleteOlderThan'>;
  readonly recordDays?: number;
  /** Must be longer than records live, or a record that is delivered again would be handled again. */
  readonly inboxDays?: number;
  /** Those of the log in PostgreSQL; one whose replay was asked for stays. */
  readonly deadLetterDays?: number;
  readonly everyMs?: number;
  readonly log?: Log;
}

const dayMs = 86_400_000;
const sweepRows = 5000;

/** Deletes what is past its time, now. */
export async function runUpkeep({
  db,
  bus,
  recordDays = 7,
  inboxDays = 30,
  deadLetterDays = 90,
}: UpkeepOptions): Promise<{ records: number; inbox: number; deadLetters: number }> {
  if (inboxDays <= recordDays) throw new RangeError('the inbox must be kept longer than the records');
  const now = Date.now();
  const sweep = async (why: string, days: number, work: (tx: Tx, olderThan: Date, limit: number) => Promise<number>) => {
    let deleted = 0;
    for (let last = sweepRows; last === sweepRows; deleted += last)
      last = await db.system(why, (tx) => work(tx, new Date(now - days * dayMs), sweepRows));
    return deleted;
  };
  return {
    records: (await bus?.deleteOlderThan(new Date(now - recordDays * dayMs))) ?? 0,
    inbox: await sweep('inbox: retention', inboxDays, sweepInbox),
    deadLetters: await sweep('dead letters: retention', deadLetterDays, sweepDeadLetters),
  };
}

/** `runUpkeep` every hour in one replica, until the signal aborts. */
export async function keepUp(options: UpkeepOptions, signal: AbortSignal): Promise<void> {
  const work = async (_fence: number, leased: AbortSignal) => {
    while (!leased.aborted) {
      const deleted = await runUpkeep(options);
      options.log?.debug(deleted, 'records, inbox entries and dead letters past their time were deleted');
      await sleep(options.everyMs ?? 3_600_000, undefined, { signal: leased }).catch(() => {});
    }
  };
  await createLeases(options.db).lead('bus.upkeep', 60_000, work, signal, (error) =>
    options.log?.warn({ err: error }, 'bus upkeep failed'),
  );
}

import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type AgentContext, openSqlite, type RunningAgent, systemClock } from '@dipper/platform';
import { agent, taskStates } from '@stardipper/proto';
import { acceptTask, cancelTask } from './accept-task';
import { calibrateIdly } from './calibrate';
import { CameraChannels } from './camera-channels.store';
import { Bell, deliverReleases, deliverReports } from './deliver';
import { DiskWatch } from './disk-watch';
import { estimateTask } from './estimate-task';
import { FairGate } from './fair-gate';
import { followFootage } from './follow-footage';
import { forgetPerson } from './forget-person';
import { ForgottenPeople } from './forgotten-people.store';
import { Journal } from './journal';
import { readSettings } from './merak-settings';
import { migrations } from './migrations';
import { Neighbours } from './neighbours';
import { OutboxStore } from './outbox.store';
import { RecorderBook } from './recorder-book';
import { TaskRunner } from './run-tasks';
import { FileCount, type SearchBox } from './search-box';
import { ShortFootageStore } from './short-footage.store';
import { SpeedStore } from './speed.store';
import { SpeedBook } from './speed-book';
import { TaskStore } from './task.store';

const pruneEveryMs = 5_000;
/** Questions to the index are answered from memory in milliseconds; more at once would only queue in Mizar. */
const askingAtOnce = 4;

/** Starts Merak on the box's data folder; goes on with whatever tasks are unfinished there. */
export async function startMerak(context: AgentContext): Promise<RunningAgent> {
  const settings = readSettings(context.settings);
  const clock = systemClock;
  const { log } = context;
  const folder = join(context.dataDir, 'merak');
  mkdirSync(folder, { recursive: true });
  const db = openSqlite(join(folder, 'merak.db'), migrations);
  const tasks = new TaskStore(db);
  const outbox = new OutboxStore(db);
  const channels = new CameraChannels(db);
  const neighbours = new Neighbours(context.dataDir);
  const stopping = new AbortController();
  const disk = new DiskWatch(folder, settings.minFreeBytes);
  const reportsBell = new Bell();
  const releasesBell = new Bell();
  const warn = (what: string) => (error: unknown) => log.warn({ err: error }, what);

  const journal = new Journal({
    db,
    tasks,
    outbox,
    clock,
    committed: () => {
      reportsBell.ring();
      releasesBell.ring();
    },
    failed: (error) => log.error({ err: error }, 'progress not written'),
  });
  const speeds = new SpeedBook(db, new SpeedStore(db), clock);
  const files = new FileCount(settings.inFlight, () => recorders.admitAll());
  const recorders = new RecorderBook({ neighbours, clock, ageMs: settings.ageMs, roomForFiles: () => files.room });
  const gate = (limit: number) => new FairGate({ limit: () => limit, now: () => clock.now(), ageMs: settings.ageMs });
  const box: SearchBox = {
    neighbours,
    journal,
    recorders,
    speeds,
    indexing: gate(Math.max(2, availableParallelism())),
    asking: gate(askingAtOnce),
    files,
    busySegments: new Map(),
    shortFootage: new ShortFootageStore(db),
    settings,
    clock,
    log,
  };
  const runner = new TaskRunner({ box, tasks, journal, signal: stopping.signal });
  await disk.start();

  const accepting = {
    db,
    tasks,
    channels,
    clock,
    maxTasks: settings.maxTasks,
    hasSpace: () => disk.hasSpace && journal.broken === undefined,
    changed: () => runner.pokeGently(),
  };
  const pruning = setInterval(() => {
    try {
      tasks.prune(clock.now() - settings.keepMs);
    } catch (error) {
      warn('not pruned')(error);
    }
  }, pruneEveryMs).unref();
  const delivering = { db, outbox, neighbours, clock, signal: stopping.signal, inUse: (key: string) => box.busySegments.has(key) };
  const loops = [
    deliverReports({ ...delivering, report: warn('reports not delivered') }, reportsBell),
    deliverReleases({ ...delivering, report: warn('files not released') }, releasesBell),
    settings.calibrate ? calibrateIdly(box, () => tasks.countUnfinished() === 0, stopping.signal) : Promise.resolve(),
    followFootage(box, channels, stopping.signal),
  ];
  runner.start();

  return {
    services: [],
    commands: {
      createTask: acceptTask(accepting),
      cancelTask: cancelTask(accepting),
      forgetPerson: forgetPerson({
        db,
        tasks,
        people: new ForgottenPeople(db),
        neighbours,
        clock,
        signal: stopping.signal,
        changed: () => runner.poke(),
        warn: warn('person not forgotten yet'),
      }),
      estimateTask: estimateTask({ box, tasks, signal: stopping.signal }),
    },
    stats: () => ({
      ...Object.fromEntries(taskStates.map((state) => [`tasks_${state}`, tasks.counts()[state] ?? 0])),
      tasks_at_work: runner.runningCount,
      reports_pending: outbox.count(),
      files_held: files.held,
      segments_indexing: box.indexing.busy,
      segments_waiting: recorders.known().reduce((sum, r) => sum + r.downloads.waiting, box.indexing.waiting),
      disk_free_bytes: disk.freeBytes,
      ...tasks.totals(),
      ...Object.fromEntries(recorders.known().map((r) => [`downloads_max_${r.id}`, r.downloads.peak])),
    }),
    health: () => {
      if (journal.broken !== undefined || !disk.hasSpace)
        return { state: agent.HealthState.HEALTH_STATE_DEGRADED, code: 'disk.full', detail: '' };
      return { state: agent.HealthState.HEALTH_STATE_OK, code: '', detail: '' };
    },
    stop: async () => {
      clearInterval(pruning);
      disk.stop();
      stopping.abort();
      reportsBell.ring();
      releasesBell.ring();
      // Work that waits for its step to be recorded must see it recorded before it lets go.
      const stopped = runner.stop();
      journal.flush();
      await stopped;
      journal.stop();
      await Promise.all(loops);
      try {
        speeds.flush();
      } finally {
        neighbours.close();
        db.close();
      }
    },
  };
}

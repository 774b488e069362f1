/**
 * Merak killed again and again while it works, and its neighbours failing at random: what is reported in the end is what
 * an undisturbed run reports. Real: the process, SQLite on disk, gRPC. Simulated with a printed seed: recorders and faces.
 */

import { rmSync } from 'node:fs';
import { AgentError } from '@dipper/platform';
import { agent, type CreateTaskParams, type TaskReport } from '@stardipper/proto';
import { buildMerak, MerakProcess } from './support/merak-process';
import { packId, SimBox, type SimCamera, seeded, wait } from './support/sim-box';
import { aCamera, eventually, finishedReports, ledgerOf, matchesOf, minute, minutes, newDataDir, queryOf, start } from './support/task-kit';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const settings = { MERAK_RETRY_MS: '20', MERAK_ATTEMPTS: '3', MERAK_CALIBRATE: 'off', MERAK_IN_FLIGHT: '4' };
const range = { from: start - 10 * minute, to: start + 60 * minute };

/** Footage with all that goes wrong by itself, the same every time. */
function cameras(): SimCamera[] {
  const random = seeded(seed);
  return [1, 2, 3, 4].map((n) => {
    const footage = minutes(50).flatMap((f) => {
      const luck = random();
      if (luck < 0.08) return [];
      if (luck < 0.14) return [{ ...f, corrupt: true }];
      if (luck < 0.2) return [{ ...f, decodableTo: f.from + 20_000 }];
      if (luck < 0.26) return [{ from: f.from - 7_000, to: f.to }];
      return [{ from: f.from, to: f.to - (luck < 0.5 ? 1_000 : 0) }];
    });
    return aCamera({ id: `cam-${n}`, recorderId: n < 3 ? 'nvr-1' : 'nvr-2', footage, faceEveryMs: 15_000 });
  });
}

interface Box {
  readonly dataDir: string;
  readonly sim: SimBox;
  readonly merak: MerakProcess;
}
const boxes: Box[] = [];

async function aBox(): Promise<Box> {
  const dataDir = newDataDir();
  const recorders = [
    { id: 'nvr-1', maxSessions: 2 },
    { id: 'nvr-2', maxSessions: 1 },
  ];
  const sim = new SimBox(dataDir, recorders, cameras());
  sim.downloadMs = 3;
  sim.indexMs = 4;
  await sim.start();
  const box = { dataDir, sim, merak: new MerakProcess(dataDir, settings) };
  boxes.push(box);
  await box.merak.start();
  return box;
}

beforeAll(buildMerak, 120_000);
afterEach(async () => {
  for (const { merak, sim, dataDir } of boxes.splice(0)) {
    await merak.stop();
    await sim.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
});

const paramsFor = (sim: SimBox): CreateTaskParams => ({
  taskId: 'task-1',
  searchId: 'search-1',
  priority: 3,
  expiresAt: Date.now() + 3_600_000,
  range,
  cameras: sim.cameras.map(({ id, recorderId, channel }) => ({ id, recorderId, channel })),
  packId,
  query: sim.query(queryOf('anna', 'bruno', 'carla')),
});

const outcome = (reports: readonly TaskReport[]) => ({
  state: reports.at(-1)?.state,
  matches: matchesOf(reports),
  ledger: ['cam-1', 'cam-2', 'cam-3', 'cam-4'].map((id) => ledgerOf(reports, id)),
});

test(`killed at random moments, it reports exactly what an undisturbed run reports (SEED=${seed})`, async () => {
  const calm = await aBox();
  const asked = paramsFor(calm.sim);
  expect(await calm.merak.call('createTask', asked)).toEqual({ accepted: true, taskId: 'task-1' });
  const expected = outcome(await finishedReports(calm.sim, asked, 60_000));
  expect(expected.matches.length).toBeGreaterThan(100);
  expect(JSON.stringify(expected.ledger)).toMatch(/segment.truncated/);

  const random = seeded(seed + 1);
  const stormy = await aBox();
  stormy.sim.fault = async (call) => {
    const luck = random();
    if (luck < 0.03) await wait(random() * 60);
    // Not reports: what a failed answer does to them is that they come twice, which the killing does already.
    else if (luck < 0.06 && call !== 'submitReports') throw new AgentError('agent.unavailable', 'unavailable');
    else if (luck < 0.08 && call === 'submitReports') throw new AgentError('dubhe.busy', 'unavailable');
  };
  const params = { ...paramsFor(stormy.sim), expiresAt: asked.expiresAt };
  expect(await stormy.merak.call('createTask', params)).toEqual({ accepted: true, taskId: 'task-1' });
  // The query need not be there a second time, once it has been fetched.
  await eventually('the task to be at work', () => stormy.sim.reportsOf('task-1').length > 0);
  stormy.sim.setQueryStatus('/q0', 404);
  let kills = 0;
  while (kills < 12 && !stormy.sim.reportsOf('task-1').some((r) => r.state === 'finished')) {
    await wait(random() * 250);
    await stormy.merak.kill();
    kills += 1;
    await stormy.merak.start();
  }
  expect(kills).toBeGreaterThan(3);
  expect(outcome(await finishedReports(stormy.sim, params, 60_000))).toEqual(expected);
  expect(stormy.sim.sessionsPeak.get('nvr-2')).toBeLessThanOrEqual(2);
  await eventually('all files to be released', () => stormy.sim.spool.size === 0);
});

test('an accepted task is there after kill -9 right behind the answer; the agent says how it is and ends cleanly', async () => {
  const { sim, merak } = await aBox();
  sim.fault = (call) => (call === 'listSegments' ? wait(200) : undefined);
  const params = paramsFor(sim);
  expect(await merak.call('createTask', params)).toEqual({ accepted: true, taskId: 'task-1' });
  await merak.kill();
  await merak.start();
  expect(await merak.call('createTask', params)).toEqual({ accepted: true, taskId: 'task-1' });
  expect(await merak.call('createTask', { ...params, priority: 1 })).toEqual({
    error: { code: 'task.conflict', params: { taskId: 'task-1' } },
  });
  expect(await merak.call('createTask', { taskId: 5 })).toMatchObject({ error: { code: 'task.malformed' } });
  expect(await merak.call('danceTask', {})).toMatchObject({ error: { code: 'command.unknown_method' } });
  expect(await merak.health()).toMatchObject({ state: agent.HealthState.HEALTH_STATE_OK });
  expect(await merak.stats()).toMatchObject({ tasks_finished: 0 });
  expect(await merak.call('cancelTask', { taskId: 'task-1' })).toEqual({ accepted: true, taskId: 'task-1' });
  const reports = await finishedReports(sim, params);
  expect(reports.at(-1)?.state).toBe('cancelled');
  expect(await merak.kill('SIGTERM')).toBe(0);
});

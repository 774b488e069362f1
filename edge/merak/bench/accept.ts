/**
 * How long createTask takes over gRPC, idle and with every core busy and a large task at work, beside what it is made
 * of: one gRPC call and one fsynced SQLite commit in the same folder. Run: `node edge/merak/bench/accept.ts` after a build.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentSocket, callUnary, dial, nodeFlags, openSqlite } from '@dipper/platform';
import { agent } from '@stardipper/proto';
import { packId, SimBox, wait } from '../test/support/sim-box.ts';

const rounds = 300;
/** Long enough for a task without footage to end: the next one meets an idle box. */
const pauseMs = 40;
const start = Date.UTC(2020, 0, 1);
const minute = 60_000;

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;

async function sample(work: (round: number) => Promise<unknown> | unknown): Promise<{ p50: number; p99: number }> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const from = performance.now();
    await work(round);
    times.push(performance.now() - from);
    await wait(pauseMs);
  }
  times.sort((a, b) => a - b);
  return { p50: at(times, 0.5), p99: at(times, 0.99) };
}

const say = (what: string, { p50, p99 }: { p50: number; p99: number }) =>
  console.log(`${what.padEnd(46)} p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms`);

const dataDir = mkdtempSync(join(tmpdir(), 'merak-bench-'));
const footage = (from: number, to: number, limit: number) =>
  Array.from({ length: Math.min(limit, Math.ceil((to - from) / minute)) }, (_, i) => {
    const first = start + (Math.floor((from - start) / minute) + i) * minute;
    return { from: first, to: first + minute };
  });
const sim = new SimBox(
  dataDir,
  [{ id: 'nvr', maxSessions: 4 }],
  [
    { id: 'empty', recorderId: 'nvr', channel: 1, footage: [], faceEveryMs: 0 },
    { id: 'endless', recorderId: 'nvr', channel: 2, footage, faceEveryMs: minute },
  ],
);
sim.downloadMs = 5;
sim.indexMs = 10;
await sim.start();
const env = { ...process.env, DIPPER_DATA: dataDir, LOG_LEVEL: 'error', MERAK_CALIBRATE: 'off', MERAK_MAX_TASKS: '100000' };
const merak = spawn(process.execPath, [...nodeFlags('merak'), join(import.meta.dirname, '..', 'dist', 'main.js')], {
  env,
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
});
const burners: ChildProcess[] = [];
try {
  await once(merak, 'message');
  const commands = dial(agent.CommandServiceClient, agentSocket(dataDir, 'merak'));
  const health = dial(agent.AgentServiceClient, agentSocket(dataDir, 'merak'));
  const query = sim.query({ packId, threshold: 0.5, persons: [{ id: 'anna', embeddings: [Buffer.alloc(512, 1).toString('base64')] }] });
  let count = 0;
  const create = async (cameraId: string, channel: number, to: number) => {
    const params = {
      taskId: `bench-${count++}`,
      searchId: 'bench',
      priority: 3,
      expiresAt: Date.now() + 3_600_000,
      range: { from: start, to },
      cameras: [{ id: cameraId, recorderId: 'nvr', channel }],
      packId,
      query,
    };
    const request = { method: 'createTask', paramsJson: JSON.stringify(params), expiresAtMs: 0 };
    const { replyJson } = await callUnary(commands, commands.handleCommand, request, { timeoutMs: 10_000 });
    if (!replyJson.includes('"accepted":true')) throw new Error(replyJson);
  };
  const db = openSqlite(join(dataDir, 'bench.db'), ['CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)']);
  const insert = db.prepare('INSERT INTO rows (body) VALUES (?)');
  const body = 'x'.repeat(600);
  await create('empty', 1, start + minute);
  await wait(500);
  const call = await sample(() => callUnary(health, health.getHealth, {}, { timeoutMs: 10_000 }));
  const commit = await sample(() => insert.run(body));
  const idle = await sample(() => create('empty', 1, start + minute));
  say('one gRPC call', call);
  say('one fsynced SQLite commit', commit);
  say('createTask, idle', idle);
  console.log(
    `createTask, idle, is ${(idle.p50 / (call.p50 + commit.p50)).toFixed(2)} of their sum at p50, ${(idle.p99 / (call.p99 + commit.p99)).toFixed(2)} at p99`,
  );

  for (let core = 0; core < availableParallelism(); core++) burners.push(spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }));
  await create('endless', 2, start + 1_000_000 * minute);
  await wait(1_000);
  const busyCall = await sample(() => callUnary(health, health.getHealth, {}, { timeoutMs: 10_000 }));
  const busy = await sample(() => create('empty', 1, start + minute));
  say('one gRPC call, cores busy and a task at work', busyCall);
  say('createTask, cores busy and a task at work', busy);
  db.close();
} finally {
  for (const child of [...burners, merak]) child.kill('SIGKILL');
  await sim.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
process.exit(0);

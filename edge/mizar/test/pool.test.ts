import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentSocket, callUnary, dial } from '@dipper/platform';
import { agent, mizar } from '@stardipper/proto';
import { FrameSlots } from '../src/inference/frame-slots';
import { InferencePool } from '../src/inference/pool';
import { knownPacks } from '../src/pack/known-files';
import { Turns } from '../src/turns';
import { hasModels, modelsFolder } from './support/mizar';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-pool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const frame = (width: number) => ({
  pixels: new SharedArrayBuffer(8),
  width,
  height: 1,
  colour: { matrix: 'bt601', fullRange: false } as const,
});
const dying = (threads: number, maxQueued?: number): Promise<InferencePool> =>
  InferencePool.open({
    // The name is where the worker remembers that it has died once.
    pack: {
      spec: { ...knownPacks[0]!, name: join(folder, 'died') },
      detectorModel: new SharedArrayBuffer(0),
      embedderModel: new SharedArrayBuffer(0),
    },
    threads,
    workerFile: join(__dirname, 'support', 'dying-worker.cjs'),
    ...(maxQueued === undefined ? {} : { maxQueued }),
  });

test('a frame whose worker died is tried again; one that kills twice fails; the others never notice', async () => {
  const pool = await dying(2);
  const answers = [1, 7, 2, 13, 3, 4, 5, 6].map((width) =>
    pool.frame(frame(width)).then(
      (a) => a.detectMs,
      (error) => error.code,
    ),
  );
  expect(await Promise.all(answers)).toEqual([1, 7, 2, 'inference.failed', 3, 4, 5, 6]);
  expect(pool.workerCrashes).toBe(3);
  expect((await pool.frame(frame(9))).detectMs).toBe(9);
  await pool.close();
  await expect(pool.frame(frame(1))).rejects.toMatchObject({ code: 'mizar.stopping' });
});

test('what waits is bounded', async () => {
  const pool = await dying(1, 3);
  const answers = await Promise.all(
    [1, 2, 3, 4, 5].map((w) =>
      pool.frame(frame(w)).then(
        () => 'ok',
        (error) => error.code,
      ),
    ),
  );
  expect(answers).toEqual(['ok', 'ok', 'ok', 'ok', 'mizar.busy']);
  await pool.close();
});

test('slots: never more than there are, in order, also of another size, and who left is not waited for', async () => {
  const slots = new FrameSlots(2);
  const never = new AbortController().signal;
  const [a, b] = [await slots.take(10, never), await slots.take(10, never)];
  const leave = new AbortController();
  const order: string[] = [];
  const left = slots.take(10, leave.signal).catch((error) => order.push(error.code));
  const third = slots.take(20, never).finally(() => order.push('third'));
  leave.abort();
  await left;
  slots.give(a);
  const c = await third;
  expect([c.bytes.length, ...order]).toEqual([20, 'mizar.cancelled', 'third']);
  slots.give(b);
  slots.give(c);
  expect((await slots.take(20, never)).pixels).toBe(c.pixels);
});

test('turns: so many at a time, in order; a failure and a leaver hand the place on', async () => {
  const turns = new Turns(2, 3);
  const never = new AbortController().signal;
  let most = 0;
  const order: number[] = [];
  const work = (n: number) => async () => {
    order.push(n);
    most = Math.max(most, turns.active);
    await new Promise((resolve) => setImmediate(resolve));
    if (n === 1) throw new Error('one');
  };
  const leave = new AbortController();
  const all = [0, 1, 2, 3, 4].map((n) =>
    turns.run(n === 3 ? leave.signal : never, work(n)).then(
      () => 'ok',
      (error) => error.code ?? error.message,
    ),
  );
  const refused = turns.run(never, work(9)).catch((error) => error.code);
  leave.abort();
  expect(await Promise.all([...all, refused])).toEqual(['ok', 'one', 'ok', 'mizar.cancelled', 'ok', 'mizar.busy']);
  expect(order).toEqual([0, 1, 2, 4]);
  expect([most, turns.active]).toEqual([2, 0]);
});

const withModels = hasModels ? test : test.skip;
withModels('as a process of its own: ready, serves its pack and its figures, ends when its supervisor goes', async () => {
  const child = fork(join(__dirname, '..', 'src', 'main.ts'), [], {
    execArgv: ['-r', join(__dirname, '..', '..', 'platform', 'test', 'support', 'register.cjs')],
    env: { ...process.env, DIPPER_DATA: folder, MIZAR_PACK: modelsFolder, MIZAR_THREADS: '1', LOG_LEVEL: 'silent' },
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  expect(await new Promise((resolve) => child.once('message', resolve))).toMatchObject({ type: 'ready', name: 'mizar' });
  const socket = agentSocket(folder, 'mizar');
  const client = dial(mizar.MizarServiceClient, socket);
  expect(await callUnary(client, client.getPack, {}, { timeoutMs: 10_000 })).toMatchObject({
    packId: 'yunet-mobilefacenet.1',
    dimension: 128,
    minFacePx: 48,
    defaultThreshold: 0.5,
  });
  const agents = dial(agent.AgentServiceClient, socket);
  expect((await callUnary(agents, agents.getStats, {}, { timeoutMs: 10_000 })).values).toMatchObject({
    inference_threads: 1,
    keyframes_decoded_total: 0,
  });
  expect((await callUnary(agents, agents.getHealth, {}, { timeoutMs: 10_000 })).state).toBe(agent.HealthState.HEALTH_STATE_OK);
  client.close();
  agents.close();
  child.disconnect();
  expect(await ended).toBe(0);
});

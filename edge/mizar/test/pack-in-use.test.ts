/** Which pack Mizar starts with, what it goes back to, and that it follows another choice. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentContext, agentSocket, callUnary, dial, type RunningAgent, serveGrpc } from '@dipper/platform';
import { agent, mizar } from '@stardipper/proto';
import { pino } from 'pino';
import { changePackInUse, type PackInUse, packFolder, readPackInUse } from '../src/pack/pack-in-use';
import { startMizar } from '../src/start-mizar';
import { fromSource, newFolder } from './support/mizar';
import { tinyPack, writeTinyPack } from './support/tiny-pack';

let dataDir: string;
let running: RunningAgent | undefined;
let startedAgain = 0;
beforeEach(() => {
  dataDir = newFolder();
  startedAgain = 0;
});
afterEach(async () => {
  await stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(settings: AgentContext['settings'] = {}): Promise<{ state: agent.HealthState; code: string; detail: unknown }> {
  const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
  const context: AgentContext = {
    name: 'mizar',
    dataDir,
    settings: { MIZAR_THREADS: '1', ...settings },
    log,
    signal: new AbortController().signal,
  };
  running = await startMizar(context, { ...fromSource, startAgain: () => startedAgain++ });
  const { state, code, detail } = running.health?.() ?? { state: 0, code: 'none', detail: '' };
  return { state, code, detail: detail === '' ? '' : JSON.parse(detail) };
}

async function stop(): Promise<void> {
  await running?.stop();
  running = undefined;
}

async function packOf(): Promise<string> {
  const server = await serveGrpc(agentSocket(dataDir, 'mizar'), running?.services ?? []);
  const client = dial(mizar.MizarServiceClient, agentSocket(dataDir, 'mizar'));
  try {
    return (await callUnary(client, client.getPack, {}, { timeoutMs: 10_000 })).packId;
  } finally {
    client.close();
    server.forceShutdown();
  }
}

function install(id: string, change?: (pack: ReturnType<typeof tinyPack>) => unknown): void {
  const pack = tinyPack(id);
  change?.(pack);
  writeTinyPack(packFolder(dataDir, id), pack);
}

let chosen = 0;
const choose = (choice: Partial<PackInUse> & { id: string }) => changePackInUse(dataDir, () => ({ chosenAtMs: ++chosen, ...choice }));
const healthy = { state: agent.HealthState.HEALTH_STATE_OK, code: '', detail: '' };

test('it starts with the pack in use, notes that it works, and stays with one that MIZAR_PACK names', async () => {
  expect(await start()).toMatchObject({ code: 'pack.missing', detail: { code: 'pack.not_configured' } });
  await stop();
  install('a');
  install('b');
  await choose({ id: 'a' });
  expect(await start()).toEqual(healthy);
  expect(await packOf()).toBe('a');
  expect(readPackInUse(dataDir)).toEqual({ id: 'a', chosenAtMs: chosen, works: true });
  expect(running?.stats()).toMatchObject({ pack_pinned: 0 });
  await stop();
  expect(await start({ MIZAR_PACK: packFolder(dataDir, 'b') })).toEqual(healthy);
  expect(await packOf()).toBe('b');
  expect(running?.stats()).toMatchObject({ pack_pinned: 1 });
});

test('a pack that it cannot start with goes back to the one before, which it says until another is chosen', async () => {
  install('good');
  install('bad', (pack) => (pack.spec.embedder.dimension = 512));
  await choose({ id: 'bad', previous: 'good' });
  const refused = { id: 'bad', code: 'pack.invalid', params: { field: 'embedder.dimension' } };
  for (const _ of ['first start', 'after a restart']) {
    expect(await start()).toEqual({ state: agent.HealthState.HEALTH_STATE_DEGRADED, code: 'pack.rolled_back', detail: refused });
    expect(await packOf()).toBe('good');
    expect(readPackInUse(dataDir)).toMatchObject({ id: 'good', works: true, refused });
    await stop();
  }
  await choose({ id: 'good' });
  expect(await start()).toEqual(healthy);
});

test('without one before it says what is wrong, at every start the same', async () => {
  install('bad', (pack) => (pack.spec.embedder.outputName = 'nothing'));
  await choose({ id: 'bad' });
  for (let n = 0; n < 5; n++) {
    expect(await start()).toMatchObject({ code: 'pack.invalid', detail: { field: 'embedder.outputName' } });
    await stop();
  }
  await choose({ id: 'gone', previous: 'bad' });
  expect(await start()).toMatchObject({ code: 'pack.invalid', detail: { field: 'embedder.outputName' } });
  expect(readPackInUse(dataDir)).toMatchObject({ id: 'bad', refused: { id: 'gone', code: 'pack.file_missing' } });
});

test('a pack with which it did not live through three starts is given up', async () => {
  install('good');
  install('deadly');
  await choose({ id: 'deadly', previous: 'good', attempts: 2 });
  expect(await start()).toEqual(healthy);
  expect(readPackInUse(dataDir)).not.toHaveProperty('attempts');
  await stop();
  await choose({ id: 'deadly', previous: 'good', attempts: 3 });
  expect(await start()).toMatchObject({ code: 'pack.rolled_back', detail: { id: 'deadly', code: 'pack.crashes' } });
  expect(await packOf()).toBe('good');
});

test('what is missing on the box is not held against the pack', async () => {
  install('good');
  install('new');
  await choose({ id: 'new', previous: 'good' });
  expect(await start({ FFMPEG_PATH: '/nowhere/ffmpeg' })).toMatchObject({ code: 'decoder.missing' });
  expect(readPackInUse(dataDir)).toEqual({ id: 'new', previous: 'good', chosenAtMs: chosen });
});

test('where nothing can be noted it works with the pack all the same, and does not go back', async () => {
  install('good');
  install('bad', (pack) => (pack.spec.embedder.dimension = 512));
  await choose({ id: 'good' });
  // A lock that is none: as on a disk that is full or not ours.
  rmSync(join(dataDir, 'run', 'packs.lock'));
  mkdirSync(join(dataDir, 'run', 'packs.lock'));
  expect(await start()).toEqual(healthy);
  expect(readPackInUse(dataDir)).toEqual({ id: 'good', chosenAtMs: chosen });
  await stop();
  writeFileSync(join(dataDir, 'packs', 'in-use.json'), JSON.stringify({ id: 'bad', previous: 'good', chosenAtMs: 1 }));
  expect(await start()).toMatchObject({ code: 'pack.invalid', detail: { field: 'embedder.dimension' } });
});

test('another choice ends the process, once; its own notes do not', async () => {
  install('a');
  install('b');
  await choose({ id: 'a' });
  await start();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(startedAgain).toBe(0);
  // Nor is what nobody can read a choice.
  writeFileSync(join(dataDir, 'packs', 'in-use.json'), '{');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(startedAgain).toBe(0);
  await choose({ id: 'b', previous: 'a' });
  while (startedAgain === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(startedAgain).toBe(1);
});

test('a file that is not ours is an error, and the next choice replaces it', async () => {
  mkdirSync(join(dataDir, 'packs'));
  for (const text of ['', '{', '{"id":"../a","chosenAtMs":1}', '{"id":"in-use.json","chosenAtMs":1}', '{"id":"a"}']) {
    writeFileSync(join(dataDir, 'packs', 'in-use.json'), text);
    expect(await start()).toMatchObject({ code: 'pack.invalid', detail: { field: 'in-use.json' } });
    await stop();
  }
  install('a');
  await choose({ id: 'a' });
  expect(await start()).toEqual(healthy);
  expect(() => packFolder(dataDir, '..')).toThrow('pack.invalid');
  expect(() => packFolder(dataDir, '.adding-1')).toThrow('pack.invalid');
  expect(JSON.parse(readFileSync(join(dataDir, 'packs', 'in-use.json'), 'utf8'))).toMatchObject({ id: 'a' });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@star/platform';
import { Client } from 'pg';

/** The real server with fsync on, started by this process and by another one that is killed. */
let folder: string;
let dataDir: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-embedded-'));
  await chmod(folder, 0o711);
  dataDir = join(folder, 'data');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ask = async (url: string, sql: string) => {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client
    .query(sql)
    .then(
      ({ rows }) => rows,
      (error: unknown) => Promise.reject(error),
    )
    .finally(() => client.end());
};

/** A process that has ended but was not collected (a container without an init) has no command line any more. */
const isRunning = (pid: number) =>
  readFile(`/proc/${pid}/cmdline`, 'utf8').then(
    (command) => command !== '',
    () => false,
  );

/** Starts the server from a process of its own; answers what it printed. */
async function elsewhere(dir: string): Promise<{ child: ChildProcess; printed: { ownerUrl: string; pid: number; code?: string } }> {
  const child = spawn(process.execPath, ['-r', './run-sources.cjs', './embedded-once.ts', dir], {
    cwd: __dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((done, fail) => {
    child.stdout?.setEncoding('utf8').once('data', done);
    child.once('exit', () => fail(new Error('it printed nothing')));
  });
  return { child, printed: JSON.parse(line) };
}

const kill = (child: ChildProcess) =>
  new Promise<void>((done) => {
    child.once('exit', () => done());
    child.kill('SIGKILL');
  });

test('data and passwords outlast a stop; only the right password opens it, only from this machine', async () => {
  const first = await startEmbeddedPostgres({ dataDir });
  await ask(first.ownerUrl, 'CREATE SCHEMA kept; CREATE TABLE kept.t AS SELECT 42 AS answer');
  expect(await ask(first.ownerUrl, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
  expect(await ask(first.ownerUrl, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  await expect(ask(first.appUrl.replace(/:[^:@]+@/, ':guess@'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  expect((await stat(join(dataDir, 'postgres.json'))).mode & 0o777).toBe(0o600);
  await first.stop();
  expect(await isRunning(first.pid)).toBe(false);
  const second = await startEmbeddedPostgres({ dataDir });
  expect(await ask(second.ownerUrl, 'SELECT answer FROM kept.t')).toEqual([{ answer: 42 }]);
  await second.stop();
});

test('its process killed: the server ends, what was committed is there after the next start', async () => {
  const { child, printed } = await elsewhere(dataDir);
  await ask(printed.ownerUrl, 'CREATE TABLE kept.committed AS SELECT 1 AS n');
  await kill(child);
  // At once, while the old server may still be going down.
  const next = await startEmbeddedPostgres({ dataDir });
  expect(await isRunning(printed.pid)).toBe(false);
  expect(await ask(next.ownerUrl, 'SELECT n FROM kept.committed')).toEqual([{ n: 1 }]);
  await next.stop();
});

test('the server itself killed: its end is told, the next start recovers', async () => {
  const server = await startEmbeddedPostgres({ dataDir });
  await ask(server.ownerUrl, 'CREATE TABLE kept.recovered AS SELECT 1 AS n');
  process.kill(server.pid, 'SIGKILL');
  await server.exited;
  const next = await startEmbeddedPostgres({ dataDir });
  expect(await ask(next.ownerUrl, 'SELECT n FROM kept.recovered')).toEqual([{ n: 1 }]);
  await next.stop();
});

test("a left-over pid file that names somebody else's process does not stand in the way", async () => {
  const { home } = JSON.parse(await readFile(join(dataDir, 'postgres.json'), 'utf8')) as { home: string };
  await writeFile(join(home, 'cluster/postmaster.pid'), `${process.pid}\n${home}/cluster\n`);
  const server = await startEmbeddedPostgres({ dataDir });
  await server.stop();
});

test('in a home that nobody else may enter', async () => {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  let server: EmbeddedPostgres | undefined;
  try {
    server = await startEmbeddedPostgres({ dataDir: join(home, 'data'), durable: false });
    expect(await ask(server.appUrl, 'SELECT current_user')).toEqual([{ current_user: 'star_app' }]);
  } finally {
    await server?.stop();
    const kept = JSON.parse(await readFile(join(home, 'data/postgres.json'), 'utf8')) as { home: string };
    await rm(kept.home, { recursive: true });
  }
});

test('two that want the same data: one has it, the other is told', async () => {
  const { child } = await elsewhere(dataDir);
  try {
    await expect(startEmbeddedPostgres({ dataDir, takeOverWithinMs: 300 })).rejects.toMatchObject({ code: 'postgres.in_use' });
  } finally {
    await kill(child);
    // Leaves with its process; the folder goes away after the last test.
    const last = await startEmbeddedPostgres({ dataDir });
    await last.stop();
  }
});

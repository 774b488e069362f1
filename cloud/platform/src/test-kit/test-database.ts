import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Database } from '../postgres/database';
import { startEmbeddedPostgres } from '../postgres/embedded';
import { migrate, platformMigrations } from '../postgres/migrate';
import { openDatabase } from '../postgres/open-database';

export interface TestDatabase {
  /** Connected as `star_app`, as the services are. */
  readonly db: Database;
  readonly ownerUrl: string;
  readonly appUrl: string;
  /** Closes the pool and drops the database. */
  close(): Promise<void>;
}

interface Urls {
  readonly ownerUrl: string;
  readonly appUrl: string;
}

/**
 * A database of its own with the platform's and the given migrations applied, on a real PostgreSQL without fsync. The
 * server is started once per process (jest worker) and ends with it; the migrations run once per set and process, and
 * every call clones the result, which takes some 50 ms. Call in `beforeAll`, close in `afterAll`.
 */
export async function testDatabase(migrations: readonly { service: string; folder: string }[] = []): Promise<TestDatabase> {
  const server = await sharedServer();
  const template = `template_${await fingerprint(migrations)}`;
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asOwner(server, async (owner) => {
    await owner.query("SELECT pg_advisory_lock(hashtextextended('templates', 0))");
    const { rows } = await owner.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (rows.length === 0) await buildTemplate(owner, server, template, migrations);
    await owner.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  const urls = { ownerUrl: inDatabase(server.ownerUrl, name), appUrl: inDatabase(server.appUrl, name) };
  const db = openDatabase({ url: urls.appUrl, poolSize: 8 });
  return {
    ...urls,
    db,
    close: async () => {
      await db.close();
      await asOwner(server, (owner) => drop(owner, name));
    },
  };
}

async function buildTemplate(owner: Client, server: Urls, template: string, migrations: readonly { service: string; folder: string }[]) {
  const making = `${template}_new`;
  await drop(owner, making);
  await owner.query(`CREATE DATABASE ${making}`);
  const url = inDatabase(server.ownerUrl, making);
  await migrate(url, 'platform', platformMigrations);
  for (const { service, folder } of migrations) await migrate(url, service, folder);
  // The sessions of the migrations may still be leaving; a template must have none.
  await patiently(() => owner.query(`ALTER DATABASE ${making} RENAME TO ${template}`));
}

/** By force; only an autovacuum worker is the superuser's, may not be ended, and leaves by itself. */
const drop = (owner: Client, name: string) => patiently(() => owner.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));

/** For two seconds. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(20);
    }
  }
}

async function fingerprint(migrations: readonly { service: string; folder: string }[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { service, folder } of [{ service: 'platform', folder: platformMigrations }, ...migrations]) {
    hash.update(`\0${service}\0`);
    for (const file of (await readdir(folder)).sort()) hash.update(`${file}\0`).update(await readFile(join(folder, file)));
  }
  return hash.digest('hex').slice(0, 24);
}

/**
 * Jest gives every spec file fresh modules, so what they share in one process is a file named by the process. The
 * server dies with the process by itself; the shell left behind then removes the folder.
 */
async function sharedServer(): Promise<Urls> {
  const folder = join(tmpdir(), `star-test-postgres-${process.pid}`);
  const note = join(folder, 'running.json');
  const running = await readFile(note, 'utf8').then(
    (text) => JSON.parse(text) as Urls & { pid: number },
    () => undefined,
  );
  if (running && (await isAlive(running.pid, folder))) return running;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o711 });
  removeWhenThisProcessEnds(folder);
  const server = await startEmbeddedPostgres({ dataDir: folder, durable: false, background: true });
  const urls = { ownerUrl: server.ownerUrl, appUrl: server.appUrl };
  await writeFile(`${note}.new`, JSON.stringify({ ...urls, pid: server.pid }), { mode: 0o600 });
  await rename(`${note}.new`, note);
  return urls;
}

// The command line must name our folder: the number may have passed to another process.
const isAlive = (pid: number, folder: string) =>
  readFile(`/proc/${pid}/cmdline`, 'utf8').then(
    (command) => command.includes(folder),
    () => false,
  );

function removeWhenThisProcessEnds(folder: string): void {
  // `cat` ends when this end of the pipe closes, however the process died. The server needs a moment to leave its files.
  const script = 'cat >/dev/null; for i in 1 2 3 4 5; do sleep 1; rm -rf "$1" 2>/dev/null && exit; done';
  const sweeper = spawn('sh', ['-c', script, 'sh', folder], { detached: true, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] });
  sweeper.unref();
  (sweeper.stdin as unknown as { unref(): void }).unref();
}

async function asOwner<T>(server: Urls, work: (owner: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: server.ownerUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function inDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

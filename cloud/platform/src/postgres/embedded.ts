import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, escapeLiteral } from 'pg';
import type { Log } from './open-database';
import { embeddedErrors, exists, runnableBinaries } from './postgres-binaries';

export interface EmbeddedPostgresOptions {
  /** Belongs to this server alone; made when missing. Holds the passwords (`postgres.json`, 0600) and, where possible, the data. */
  readonly dataDir: string;
  /** A free one unless told. */
  readonly port?: number;
  /** false: no fsync, for tests. A power cut may then destroy the data. */
  readonly durable?: boolean;
  /** true: the server does not keep this process alive; it still ends with it. */
  readonly background?: boolean;
  /** How long to wait for a server of a killed process to leave; 20 s unless told. */
  readonly takeOverWithinMs?: number;
  readonly log?: Log;
}

export interface EmbeddedPostgres {
  /** For migrations: owns the database, may create databases, is no superuser. */
  readonly ownerUrl: string;
  /** For the services: `star_app`, bound by row-level security. */
  readonly appUrl: string;
  readonly pid: number;
  /** Settles when the server has ended, wanted or not. */
  readonly exited: Promise<void>;
  /** Ends sessions, writes a checkpoint; resolves when the process is gone. */
  stop(): Promise<void>;
}

/** What a data folder remembers. `home` is chosen once: rights of parent folders may change, the data must not seem to vanish. */
interface Identity {
  readonly home: string;
  readonly adminPassword: string;
  readonly ownerPassword: string;
  readonly appPassword: string;
}

/** An account the server may run as, when this process is root: PostgreSQL refuses to. */
interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const rootHome = '/var/lib/star';

/**
 * Starts a real PostgreSQL on the loopback interface, creating the cluster, the roles and the database `star` the first
 * time. Survives `kill -9` of anything: the server gets SIGINT from the kernel when this process dies, and a left-over
 * postmaster.pid is judged by whether its process really is this server. `postgres.in_use` when another process has it.
 * Needs `setpriv` (util-linux).
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const account = process.getuid?.() === 0 ? await serverAccount() : undefined;
  const identity = await readIdentity(dataDir, account);
  const bin = join(await runnableBinaries(account ? rootHome : dataDir, account !== undefined), 'bin');
  const cluster = join(identity.home, 'cluster');
  if (!(await exists(join(cluster, 'PG_VERSION')))) await createCluster(bin, identity, account, options.durable ?? true);
  await waitForPredecessor(cluster, options.takeOverWithinMs ?? 20_000);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const server = launch(bin, cluster, port, account, options);
    try {
      await untilReady(server, port, identity);
      return await asEmbedded(server, port, identity);
    } catch (error) {
      server.child.kill('SIGINT');
      await server.exited;
      // A port taken in between, or shared memory of a killed server whose backends are still leaving.
      if (attempt === 5) throw embeddedErrors.error('postgres.start_failed', {}, error);
      await sleep(200 * attempt);
    }
  }
}

/** A user of its own when the machine has one, else Debian's `postgres`, else `nobody`. */
async function serverAccount(): Promise<Account> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['star', 'postgres', 'nobody']) {
    const found = accounts.find(([name]) => name === wanted);
    if (found) return { name: wanted, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw embeddedErrors.error('postgres.start_failed', { reason: 'no account to run as' });
}

async function readIdentity(dataDir: string, account: Account | undefined): Promise<Identity> {
  const path = join(dataDir, 'postgres.json');
  if (await exists(path)) return JSON.parse(await readFile(path, 'utf8')) as Identity;
  const secret = () => randomBytes(24).toString('base64url');
  // The random end keeps a folder that was deleted and made again from meeting the old cluster and its passwords.
  const apart = `${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}-${randomBytes(4).toString('hex')}`;
  const home = account && !(await reachable(dirname(dataDir))) ? join(rootHome, apart) : join(dataDir, 'postgres');
  const identity: Identity = { home, adminPassword: secret(), ownerPassword: secret(), appPassword: secret() };
  await writeFile(`${path}.new`, JSON.stringify(identity), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  return identity;
}

/** Whether any user can walk to this folder. */
async function reachable(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function createCluster(bin: string, identity: Identity, account: Account | undefined, durable: boolean): Promise<void> {
  const { home } = identity;
  const making = join(home, 'cluster.new');
  await mkdir(home, { recursive: true, mode: 0o700 });
  await rm(making, { recursive: true, force: true });
  const passwordFile = join(home, 'password');
  await writeFile(passwordFile, identity.adminPassword, { mode: 0o600 });
  if (account) {
    // The server's user must walk through dataDir to its own folder inside; the secrets beside it stay 0600.
    if (dirname(home) !== rootHome) await chmod(dirname(home), 0o711);
    await chown(home, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  const initdb = [join(bin, 'initdb'), '-D', making, '-U', 'star_admin', '-A', 'scram-sha-256', '--pwfile', passwordFile];
  initdb.push('-E', 'UTF8', '--no-locale', ...(durable ? [] : ['--no-sync']));
  const [program, ...args] = asAccount(account, initdb);
  await promisify(execFile)(program!, args, { cwd: '/', env: serverEnvironment }).catch((error: unknown) => {
    throw embeddedErrors.error('postgres.start_failed', { step: 'initdb' }, error);
  });
  await rm(passwordFile, { force: true });
  // Renamed when whole, so a kill during initdb leaves nothing that looks like a cluster.
  await rename(making, join(home, 'cluster'));
}

const serverEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

function asAccount(account: Account | undefined, command: readonly string[]): string[] {
  const user = account ? ['--reuid', String(account.uid), '--regid', String(account.gid), '--clear-groups'] : [];
  // INT is PostgreSQL's fast shutdown: sessions end, the log is flushed.
  return ['setpriv', ...user, '--pdeathsig', 'INT', '--', ...command];
}

/** Removes a postmaster.pid whose process is not this server; gives one that is on its way out the time to leave. */
async function waitForPredecessor(cluster: string, withinMs: number): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  for (let waited = 0; waited < withinMs; waited += 50) {
    const text = await readFile(pidFile, 'utf8').catch(() => undefined);
    if (text === undefined) return;
    // After a restart of the machine or container the number may be anybody's.
    const command = await readFile(`/proc/${Number.parseInt(text, 10)}/cmdline`, 'utf8').catch(() => '');
    if (!command.split('\0').includes(cluster)) return rm(pidFile, { force: true });
    await sleep(50);
  }
  throw embeddedErrors.error('postgres.in_use', {});
}

/**
 * The server of this data folder that runs already, started by another process; undefined when none does, or the folder
 * has never had one.
 */
export async function findEmbeddedPostgres(dataDir: string): Promise<Pick<EmbeddedPostgres, 'ownerUrl' | 'appUrl'> | undefined> {
  const identity = await readFile(join(resolve(dataDir), 'postgres.json'), 'utf8').then(
    (text) => JSON.parse(text) as Identity,
    () => undefined,
  );
  if (!identity) return undefined;
  const note = await readFile(join(identity.home, 'cluster', 'postmaster.pid'), 'utf8').catch(() => '');
  // The fourth line is the port. A left-over file names one where nobody, or somebody else, answers.
  const port = Number(note.split('\n')[3]);
  if (!Number.isInteger(port) || port <= 0) return undefined;
  const urls = {
    ownerUrl: address('star_owner', identity.ownerPassword, port, 'star'),
    appUrl: address('star_app', identity.appPassword, port, 'star'),
  };
  const client = new Client({ connectionString: urls.appUrl, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  return client
    .connect()
    .then(
      () => urls,
      () => undefined,
    )
    .finally(() => client.end().catch(() => {}));
}

interface Server {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  ended: boolean;
  lastWords: string;
}

function launch(bin: string, cluster: string, port: number, account: Account | undefined, options: EmbeddedPostgresOptions): Server {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    ...(options.durable === false ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' } : {}),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program, ...args] = asAccount(account, [join(bin, 'postgres'), '-D', cluster, ...flags]);
  const child = spawn(program!, args, { cwd: '/', env: serverEnvironment, stdio: ['ignore', 'ignore', 'pipe'] });
  const server: Server = { child, ended: false, lastWords: '', exited: new Promise((done) => child.once('close', () => done())) };
  child.once('error', (error) => {
    server.lastWords += error.message;
  });
  void server.exited.then(() => {
    server.ended = true;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    server.lastWords = (server.lastWords + text).slice(-4000);
    options.log?.debug({ text: text.trimEnd() }, 'postgres');
  });
  if (options.background) {
    child.unref();
    (child.stderr as unknown as { unref(): void }).unref();
  }
  return server;
}

const address = (user: string, password: string, port: number, database: string) =>
  `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;

/** Ready when the roles and the database are there; the first start makes them, and one that was killed while doing so goes on. */
async function untilReady(server: Server, port: number, identity: Identity): Promise<void> {
  for (let waited = 0; ; waited += 20) {
    if (server.ended || waited > 60_000) throw new Error(server.lastWords);
    const client = new Client({ connectionString: address('star_admin', identity.adminPassword, port, 'postgres') });
    client.on('error', () => {});
    try {
      await client.connect();
      await createRoles(client, identity);
      return;
    } catch (error) {
      const starting = ['ECONNREFUSED', '57P03'].includes(String((error as { code?: unknown }).code));
      if (!starting) throw error;
      await sleep(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

async function createRoles(client: Client, identity: Identity): Promise<void> {
  const roles = [
    ['star_owner', `LOGIN CREATEDB PASSWORD ${escapeLiteral(identity.ownerPassword)}`],
    ['star_system', 'NOLOGIN NOBYPASSRLS'],
    ['star_app', `LOGIN NOBYPASSRLS NOINHERIT PASSWORD ${escapeLiteral(identity.appPassword)}`],
  ] as const;
  // Also in a cluster that was made before one of them was thought of.
  for (const [role, rights] of roles) {
    const { rows } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    await client.query(`${rows.length === 0 ? 'CREATE' : 'ALTER'} ROLE ${role} ${rights}`);
  }
  await client.query("SET client_min_messages = 'warning'; GRANT star_system TO star_app");
  const { rows: databases } = await client.query("SELECT 1 FROM pg_database WHERE datname = 'star'");
  if (databases.length === 0) await client.query('CREATE DATABASE star OWNER star_owner');
}

async function asEmbedded(server: Server, port: number, identity: Identity): Promise<EmbeddedPostgres> {
  return {
    ownerUrl: address('star_owner', identity.ownerPassword, port, 'star'),
    appUrl: address('star_app', identity.appPassword, port, 'star'),
    pid: server.child.pid!,
    exited: server.exited,
    stop: async () => {
      if (!server.ended) server.child.kill('SIGINT');
      // A fast shutdown that hangs on a backend: after 20 s the immediate one, which recovers from the log next time.
      const impatience = setTimeout(() => server.child.kill('SIGQUIT'), 20_000);
      await server.exited;
      clearTimeout(impatience);
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const bound = probe.address();
      probe.close(() => done(typeof bound === 'object' && bound ? bound.port : 0));
    });
  });
}

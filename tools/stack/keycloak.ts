/**
 * A real Keycloak for tests: one node on the loopback interface with our realm, in memory. Its distribution comes from
 * Maven Central once, into a cache folder; a JDK 17 and Maven must be there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './free-ports.ts';

export interface RunningKeycloak {
  /** `http://127.0.0.1:1234`, as for `createKeycloakVerifier`. */
  readonly url: string;
  /** Of the client `star-admin`. */
  readonly adminSecret: string;
  stop(): Promise<void>;
}

const version = '26.5.3';
const startWithinMs = 180_000;

/** What keeps `startKeycloak` from working here; undefined when nothing does. Fetches 160 MB the first time, and blocks meanwhile. */
export function whyNoKeycloak(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const needed: [string, string, string][] = [['java', '-version', 'default-jdk-headless']];
  if (!existsSync(folderOf(env))) needed.push(['mvn', '-version', 'maven'], ['jar', '--version', 'default-jdk-headless']);
  for (const [program, flag, debian] of needed) {
    if (spawnSync(program, [flag], { stdio: 'ignore' }).status !== 0)
      return `Keycloak needs ${program}, which is not there. On Debian: apt-get install ${debian}.`;
  }
  return fetchDistribution(folderOf(env));
}

const folderOf = (env: NodeJS.ProcessEnv) =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'star-and-dipper', `keycloak-${version}`);

/** Answers why it could not. */
function fetchDistribution(folder: string): string | undefined {
  if (existsSync(folder)) return undefined;
  // Renamed when complete, so that a run that was broken off leaves nothing that looks whole.
  const making = `${folder}.${randomBytes(4).toString('hex')}`;
  mkdirSync(making, { recursive: true });
  try {
    const artifact = `org.keycloak:keycloak-quarkus-dist:${version}:zip`;
    const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';
    const steps: [string, string[]][] = [
      ['mvn', ['-q', '-B', `${plugin}:get`, `-Dartifact=${artifact}`, '-Dtransitive=false']],
      ['mvn', ['-q', '-B', `${plugin}:copy`, `-Dartifact=${artifact}`, `-DoutputDirectory=${making}`]],
      ['jar', ['xf', join(making, `keycloak-quarkus-dist-${version}.zip`)]],
    ];
    for (const [program, args] of steps) {
      const done = spawnSync(program, args, { encoding: 'utf8', timeout: 600_000, cwd: making });
      if (done.status !== 0) return `could not fetch Keycloak ${version}: ${done.stdout?.slice(-1000) || done.error || done.stderr}`;
    }
    // Another run may have been faster: its folder holds the same.
    if (!existsSync(folder)) renameSync(join(making, `keycloak-${version}`), folder);
    return undefined;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/**
 * Takes some 20 s.
 * @param consoleUrl where the console's redirects may go, without a slash at the end
 * @param realmSettings more of what the realm file leaves open (`STAR_BRIDGE_URL`, …)
 */
export async function startKeycloak(
  consoleUrl: string,
  realmSettings: Readonly<Record<string, string>> = {},
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningKeycloak> {
  const missing = whyNoKeycloak(env);
  if (missing) throw new Error(missing);
  const data = await mkdtemp(join(tmpdir(), 'star-keycloak-'));
  try {
    return await start(folderOf(env), data, { STAR_CONSOLE_URL: consoleUrl, ...realmSettings }, env);
  } catch (error) {
    await rm(data, { recursive: true, force: true });
    throw error;
  }
}

async function start(
  distribution: string,
  data: string,
  realmSettings: Readonly<Record<string, string>>,
  env: NodeJS.ProcessEnv,
): Promise<RunningKeycloak> {
  // Its start writes what it built into its own folder: each run has a copy, made of links where the disk can.
  const home = join(data, 'keycloak');
  cpSync(distribution, home, { recursive: true });
  await mkdir(join(home, 'data', 'import'), { recursive: true });
  await copyFile(join(__dirname, '../../cloud/identity/keycloak/star-realm.json'), join(home, 'data', 'import', 'star-realm.json'));
  const [port, management] = await freePorts(2);
  const adminSecret = randomBytes(24).toString('base64url');
  const flags = [
    '--http-host=127.0.0.1',
    `--http-port=${port}`,
    `--http-management-port=${management}`,
    '--cache=local',
    '--db=dev-mem',
    '--import-realm',
  ];
  // Through bash: unpacking with `jar` leaves no file executable.
  const command = ['bash', join(home, 'bin', 'kc.sh'), 'start-dev', ...flags];
  // So that a test run that is killed leaves nothing behind. TERM, because the script passes it on to the JVM.
  const kept = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM', ...command] : command;
  const child = spawn(kept[0] as string, kept.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: {
      PATH: env.PATH,
      HOME: env.HOME,
      JAVA_HOME: env.JAVA_HOME,
      JAVA_OPTS: '-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true',
      ...realmSettings,
      STAR_KEYCLOAK_SECRET: adminSecret,
    },
  });
  const stop = async () => {
    await ended(child);
    await rm(data, { recursive: true, force: true });
  };
  try {
    await untilListening(child);
  } catch (error) {
    await ended(child);
    throw error;
  }
  return { url: `http://127.0.0.1:${port}`, adminSecret, stop };
}

function untilListening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`Keycloak was not ready in time: ${said}`)), startWithinMs);
    const done = (error?: Error) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve();
    };
    child.once('error', done);
    child.once('exit', (code) => done(new Error(`Keycloak ended with ${code}: ${said}`)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4000);
        if (/started in .* Listening on/.test(said)) done();
      });
  });
}

/** Its data is thrown away: nothing to end in order. Script and JVM are a process group of their own. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  process.kill(-child.pid, 'SIGKILL');
  await exited;
}

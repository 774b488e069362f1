/**
 * A real Apache Kafka for tests: one node in KRaft mode on the loopback interface. Its jars come from Maven Central once,
 * into a cache folder; a JDK 17 and Maven must be there.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.ts';

export interface RunningKafka {
  readonly brokers: string[];
  /** Ends the broker and deletes its data; does nothing for one that was there before. */
  stop(): Promise<void>;
}

const version = '3.9.1';
const run = promisify(execFile);

/** The brokers of `KAFKA_BROKERS` when that is set, else one of our own, which takes some five seconds. */
export async function startKafka(env: NodeJS.ProcessEnv = process.env): Promise<RunningKafka> {
  if (env.KAFKA_BROKERS) return { brokers: env.KAFKA_BROKERS.split(','), stop: async () => {} };
  const missing = whyNoKafka(env);
  if (missing) throw new Error(missing);
  const dataDir = await mkdtemp(join(tmpdir(), 'star-kafka-'));
  try {
    return await startBroker(join(jarsFolder(env), '*'), dataDir);
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

/**
 * What keeps `startKafka` from working here; undefined when nothing does. Fetches the jars when they are not there yet,
 * and blocks meanwhile: a suite must know while it is read whether its tests are to be skipped.
 */
export function whyNoKafka(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (env.KAFKA_BROKERS) return undefined;
  const needed = [['java', 'default-jdk-headless'], ...(existsSync(jarsFolder(env)) ? [] : [['mvn', 'maven']])] as [string, string][];
  for (const [program, debian] of needed) {
    if (spawnSync(program, ['-version'], { stdio: 'ignore' }).status !== 0)
      return `Kafka needs ${program}, which is not there. On Debian: apt-get install ${debian}. Or set KAFKA_BROKERS to a running one.`;
  }
  return fetchJars(jarsFolder(env));
}

const jarsFolder = (env: NodeJS.ProcessEnv) => join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'star-and-dipper', `kafka-${version}`);

/** Answers why it could not. */
function fetchJars(folder: string): string | undefined {
  if (existsSync(folder)) return undefined;
  // Renamed when complete, so that a run that was broken off leaves nothing that looks whole.
  const making = `${folder}.${randomBytes(4).toString('hex')}`;
  mkdirSync(making, { recursive: true });
  try {
    writeFileSync(join(making, 'pom.xml'), pom);
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${making}`];
    const got = spawnSync('mvn', ['-q', '-B', '-f', join(making, 'pom.xml'), ...goal], { encoding: 'utf8', timeout: 600_000 });
    if (got.status !== 0) return `Maven could not fetch Kafka ${version}: ${got.stdout?.slice(-1000) || got.error || got.stderr}`;
    // Another run may have been faster: its folder holds the same.
    if (!existsSync(folder)) renameSync(making, folder);
    return undefined;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>star</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`;

async function startBroker(classPath: string, dataDir: string): Promise<RunningKafka> {
  const [port, controllerPort] = await freePorts(2);
  const config = join(dataDir, 'server.properties');
  await writeFile(
    config,
    [
      'process.roles=broker,controller',
      'node.id=1',
      `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
      `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
      'controller.listener.names=CONTROLLER',
      'inter.broker.listener.name=PLAINTEXT',
      `log.dirs=${join(dataDir, 'log')}`,
      'auto.create.topics.enable=false',
      'offsets.topic.replication.factor=1',
      'offsets.topic.num.partitions=4',
      'transaction.state.log.replication.factor=1',
      'transaction.state.log.min.isr=1',
      // A production broker waits for more members; a test would only wait.
      'group.initial.rebalance.delay.ms=0',
      'group.min.session.timeout.ms=1000',
      'log.cleaner.dedupe.buffer.size=2097152',
      '',
    ].join('\n'),
  );
  const clusterId = randomBytes(16).toString('base64url');
  await run('java', ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config], {
    maxBuffer: 16 * 1024 * 1024,
  });
  const java = ['java', '-Xms64m', '-Xmx320m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', classPath, 'kafka.Kafka', config];
  // So that a test run that is killed leaves no broker behind.
  const command = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', ...java] : java;
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let tail = '';
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`Kafka was not ready after a minute: ${tail}`)), 60_000);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`Kafka ended with ${code}: ${tail}`)));
      child.stderr.on('data', (chunk: Buffer) => {
        tail = (tail + chunk.toString()).slice(-4000);
        if (tail.includes('Kafka Server started')) resolve();
      });
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    brokers: [`127.0.0.1:${port}`],
    stop: async () => {
      // Its data is thrown away: nothing to end in order.
      child.kill('SIGKILL');
      await exited;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/**
 * How long a box takes to accept a search, from the RPC on Star's socket to the reply, idle and while Mizar uses every
 * core; beside the sum of what it cannot do without: a Mosquitto echo, one gRPC call, one fsynced SQLite commit, all
 * measured under the same load. Needs mosquitto.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentSocket, callUnary, dial, openSqlite } from '@dipper/platform';
import { agent, type Person } from '@stardipper/proto';
import mqtt from 'mqtt';
import { boxNames } from '../world/identity.ts';
import { packAndPeople } from '../world/pack-and-people.ts';
import { untilDefined } from '../world/until-defined.ts';
import { enrol, startWorld, type World } from '../world/world.ts';

const calls = 200;
/** An accepted task starts to work at once; the next call shall meet the load that is meant, not the last call's. */
const pauseMs = 40;

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

function percentiles(samples: readonly number[]): Percentiles {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function sample(work: () => Promise<unknown> | unknown): Promise<Percentiles> {
  const times: number[] = [];
  for (let i = 0; i < calls; i++) {
    const from = performance.now();
    await work();
    times.push(performance.now() - from);
    await sleep(pauseMs / 4);
  }
  return percentiles(times);
}

/** Searches of one second on one camera of each box, cancelled once accepted; Star's own measure of each round trip. */
async function accepts(world: World, person: Person): Promise<Percentiles> {
  const cameraIds = Object.values(world.edges).map((edge) => world.cameras.find((c) => c.edgeId === edge.id)?.id as string);
  const samples: number[] = [];
  while (samples.length < calls) {
    const draft = await world.api.createSearch({
      name: 'accept latency',
      purpose: 'measurement',
      priority: 1,
      personIds: [person.id],
      cameraIds,
      from: new Date(world.range.from).toISOString(),
      to: new Date(world.range.from + 1000).toISOString(),
    });
    await world.api.startSearch(draft.id);
    const tasks = await untilDefined(60_000, 'both boxes to accept', async () => {
      const now = await world.api.search(draft.id);
      return now.tasks.every((t) => t.acceptMs !== null) ? now.tasks : undefined;
    });
    samples.push(...tasks.map((t) => t.acceptMs as number));
    await untilDefined(
      120_000,
      'a search of one second to end',
      async () => (await world.api.search(draft.id)).state !== 'running' || undefined,
    );
    await world.api.deleteSearch(draft.id);
    await sleep(pauseMs);
  }
  return percentiles(samples);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** What the accept path stands on, each ready to be measured. */
async function openParts(folder: string, box: string) {
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n`);
  const broker: ChildProcess = spawn('mosquitto', ['-c', config], { stdio: 'ignore' });
  const client = await untilDefined(10_000, 'mosquitto', () => mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 }));
  // Nagle's algorithm waits for the broker's delayed acknowledgement: 40 ms that an echo without it does not take.
  (client.stream as Socket).setNoDelay(true);
  await client.subscribeAsync('echo', { qos: 0 });
  const health = dial(agent.AgentServiceClient, agentSocket(box, 'merak'));
  const db = openSqlite(join(folder, 'commit.db'), ['CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)']);
  const insert = db.prepare('INSERT INTO rows (body) VALUES (?)');
  const body = 'x'.repeat(600);
  return {
    echo: () => {
      const back = new Promise((resolve) => client.once('message', resolve));
      client.publish('echo', body, { qos: 0 });
      return back;
    },
    call: () => callUnary(health, health.getHealth, {}, { timeoutMs: 10_000 }),
    commit: () => insert.run(body),
    close: async () => {
      health.close();
      db.close();
      await client.endAsync(true);
      broker.kill();
    },
  };
}

const ms = ({ p50, p99 }: Percentiles) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;

async function compare(load: string, world: World, person: Person, parts: Awaited<ReturnType<typeof openParts>>): Promise<void> {
  const echo = await sample(parts.echo);
  const call = await sample(parts.call);
  const commit = await sample(parts.commit);
  const accept = await accepts(world, person);
  const sum = { p50: echo.p50 + call.p50 + commit.p50, p99: echo.p99 + call.p99 + commit.p99 };
  console.log(`${load}:`);
  console.log(`  createTask over MQTT     ${ms(accept)}  (${calls} calls)`);
  console.log(`  Mosquitto echo           ${ms(echo)}`);
  console.log(`  one gRPC call            ${ms(call)}`);
  console.log(`  one fsynced commit       ${ms(commit)}`);
  console.log(`  ratio to their sum       ${(accept.p50 / sum.p50).toFixed(2)} at p50, ${(accept.p99 / sum.p99).toFixed(2)} at p99`);
}

if (spawnSync('mosquitto', ['-h']).error) {
  console.log('skipped: needs the Debian package mosquitto');
  process.exit(0);
}
const folder = mkdtempSync(join(tmpdir(), 'accept-bench-'));
let world: World | undefined;
try {
  world = await startWorld({ ...packAndPeople(process.env), folder, say: () => undefined });
  const people = await enrol(world);
  const person = [...people.values()][0] as Person;
  const parts = await openParts(folder, world.boxData(boxNames[0]));
  await compare('idle', world, person, parts);
  const draft = await world.api.createSearch({
    name: 'load',
    purpose: 'measurement',
    personIds: [person.id],
    cameraIds: world.cameras.map((c) => c.id),
    from: new Date(world.range.from).toISOString(),
    to: new Date(world.range.to).toISOString(),
  });
  await world.api.startSearch(draft.id);
  await compare('while Mizar uses every core', world, person, parts);
  console.log(`  the search that was the load: ${(await world.api.search(draft.id)).state} at the end`);
  await parts.close();
} finally {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

/** Star as one process per service over a real Kafka: the same main job, and one service killed while it runs. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Person, Search } from '@stardipper/proto';
import { Kafka, logLevel } from 'kafkajs';
import { evaluate } from '../demo/evaluate.ts';
import { type RunningKafka, startKafka, whyNoKafka } from '../stack/kafka.ts';
import { packAndPeople } from '../world/pack-and-people.ts';
import { untilDefined } from '../world/until-defined.ts';
import { enrol, startWorld, type World } from '../world/world.ts';

const missing = whyNoKafka();
if (missing) process.stderr.write(`Star as services: skipped: ${missing}\n`);
const withAll = missing ? test.skip : test;
const services = ['tenants', 'devices', 'search', 'gateway'] as const;

let folder: string;
let kafka: RunningKafka;
let world: World;
let people: Map<string, Person>;

beforeAll(async () => {
  if (missing) return;
  folder = mkdtempSync(join(tmpdir(), 'star-services-'));
  kafka = await startKafka();
  world = await startWorld({
    ...packAndPeople(process.env),
    folder,
    shape: 'services',
    env: { STAR_KAFKA_BROKERS: kafka.brokers.join(',') },
    say: (line) => process.stderr.write(`${line}\n`),
  });
  people = await enrol(world);
});
afterAll(async () => {
  await world?.stop();
  await kafka?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function start(group: readonly string[]): Promise<Search> {
  const draft = await world.api.createSearch({
    name: 'services',
    purpose: 'test',
    personIds: group.map((name) => (people.get(name) as Person).id),
    cameraIds: world.cameras.map((c) => c.id),
    from: new Date(world.range.from).toISOString(),
    to: new Date(world.range.to).toISOString(),
  });
  return world.api.startSearch(draft.id);
}

const ended = (id: string): Promise<Search> =>
  untilDefined(15 * 60_000, 'the search to end', async () => {
    const now = await world.api.search(id);
    return now.state === 'running' ? undefined : now;
  });

async function expectAllFound(search: Search, group: readonly string[]): Promise<void> {
  const names = new Map([...people.values()].map((p) => [p.id, p.name]));
  const verdict = evaluate(group, await world.api.matches(search.id), {
    appearances: world.plan.appearances,
    startAt: world.range.from,
    personOf: (id) => names.get(id),
    cameraOf: world.cameraKey,
  });
  expect(search.state).toBe('finished');
  expect(verdict.expected).toBeGreaterThan(5);
  expect([verdict.found, verdict.falseMatches]).toEqual([verdict.expected, []]);
  const { searchedSeconds, indexedSeconds, noFootageSeconds, failedSeconds } = search.coverage;
  // To the millisecond, which is what is kept; the sum of seconds as floating numbers is not.
  const accountedMs = Math.round((searchedSeconds + indexedSeconds + noFootageSeconds + failedSeconds) * 1000);
  expect(accountedMs).toBe(world.cameras.length * (world.range.to - world.range.from));
}

const pids = () => JSON.parse(readFileSync(world.starPids, 'utf8')) as Record<string, number>;

/** Events of a search as the gateway passes them on, until it has ended. */
async function follow(id: string): Promise<string[]> {
  const { token } = await world.api.logIn(world.login.username, world.login.password);
  const response = await fetch(`${world.url}/api/v1/searches/${id}/events`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const names: string[] = [];
  let rest = '';
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    rest += Buffer.from(chunk).toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('event: ')) names.push(line.slice('event: '.length));
      if (line.startsWith('data: ') && line.includes('"state":"finished"') && names.at(-1) === 'search') return names;
    }
  }
  return names;
}

withAll('every service is a process of its own, behind one gateway', async () => {
  const found = pids();
  const own = services.map((name) => found[name]);
  expect(new Set(own).size).toBe(services.length);
  for (const pid of own) expect(pid).toBeGreaterThan(0);
  const page = await fetch(`${world.url}/`);
  expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
  for (const path of ['/healthz', '/readyz']) expect([path, (await fetch(`${world.url}${path}`)).status]).toEqual([path, 200]);
  for (const path of ['/people', '/edges', '/areas', '/grants', '/searches']) {
    const refused = await fetch(`${world.url}/api/v1${path}`, { headers: { authorization: 'Bearer nobody' } });
    expect([path, refused.status, ((await refused.json()) as { code: string }).code]).toEqual([path, 401, expect.any(String)]);
  }
});

withAll('a search goes through Kafka and finds everybody', async () => {
  const group = world.plan.groups[0] as string[];
  const search = await start(group);
  const events = await follow(search.id);
  expect(events).toEqual(expect.arrayContaining(['search', 'match']));
  await expectAllFound(await ended(search.id), group);
  const crop = (await world.api.matches(search.id)).find((m) => m.cropUrl)?.cropUrl as string;
  expect(new URL(crop).origin).toBe(world.url);
  const picture = await fetch(crop);
  expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/jpeg']);

  const admin = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    for (const topic of ['search.task.requested.v1', 'search.task.accepted.v1', 'search.progressed.v1', 'search.matched.v1']) {
      const offsets = await admin.fetchTopicOffsets(topic);
      expect([topic, offsets.some((o) => Number(o.high) > 0)]).toEqual([topic, true]);
    }
  } finally {
    await admin.disconnect();
  }
});

withAll('a service that is killed meanwhile loses nothing', async () => {
  const group = world.plan.groups[1] as string[];
  const search = await start(group);
  for (const name of ['search', 'devices'] as const) {
    const pid = pids()[name] as number;
    process.kill(pid, 'SIGKILL');
    await untilDefined(60_000, `${name} to be back`, async () => (pids()[name] !== pid ? true : undefined));
  }
  await expectAllFound(await ended(search.id), group);
});

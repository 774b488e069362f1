/**
 * Every route of every service as every role, as a program, as another tenant and as nobody, and every topic of the hub
 * as nobody, as a person, as a program, as another box. Nothing is classified here: the policy table is, and what it
 * does not name fails.
 */
import { randomUUID } from 'node:crypto';
import { Controller, Get, Module } from '@nestjs/common';
import { createHttpApp } from '@star/platform/nest';
import {
  accessOf,
  featuredRoutes,
  grantable,
  limitedRoutes,
  type PolicyRow,
  permissions,
  permissionsOfRole,
  platformTenantId,
  policy,
  roles,
  topicPolicy,
} from '@stardipper/proto';
import { deviceTopics } from '../../devices/src/hub/topics';
import { Device } from '../../devices/test/world';
import { eventually, type Furnished, furnish } from './support/furnish';
import { bodyNamesThings, isProviders, isStream, nameOf, namesThings, requestFor, rows } from './support/requests';
import { type Ask, startWholeStar, type WholeStar } from './support/whole-star';

let star: WholeStar;
let east: Furnished;
let west: Furnished;

beforeAll(async () => {
  star = await startWholeStar();
  [east, west] = [await furnish(star, 'east'), await furnish(star, 'west')];
});
afterAll(() => star?.close());

/** Event streams over a real connection, which is cut after the first word. */
async function statusOf(row: PolicyRow, ask: Ask): Promise<number> {
  if (!isStream(row)) return (await star.ask(ask)).status;
  const cut = new AbortController();
  const answer = await fetch(`${star.address}${ask.url}`, { headers: ask.headers ?? {}, signal: cut.signal });
  cut.abort();
  return answer.status;
}
const as = (credential: string, ask: Ask): Ask => ({ ...ask, headers: { ...ask.headers, authorization: `Bearer ${credential}` } });
/** About things that are nobody's, so that a walk changes nothing. */
const aboutNothing = (): Furnished => ({
  ...east,
  ids: Object.fromEntries(Object.keys(east.ids).map((id) => [id, id === 'matchId' ? 'a:b' : randomUUID()])) as Furnished['ids'],
});

describe('the table', () => {
  it('has a row for every route, and a route for every row', () => {
    const described = Object.entries(star.app.openApi().paths).flatMap(([path, verbs]) =>
      Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(described.sort()).toEqual(rows.map(nameOf).sort());
    const fastify = star.app.nest.getHttpAdapter().getInstance();
    for (const { method, path } of Object.values(policy).flat())
      expect([method, path, fastify.hasRoute({ method, url: path })]).toEqual([method, path, true]);
    expect(
      [...limitedRoutes, ...featuredRoutes].filter((route) => accessOf(...(route.split(' ') as [string, string])) === undefined),
    ).toEqual([]);
  });

  it('stops the start of a service with a route that it does not name', async () => {
    @Controller('api/v1/unheard-of')
    class NewController {
      @Get()
      answer() {
        return {};
      }
    }
    @Module({ controllers: [NewController] })
    class NewModule {}
    await expect(createHttpApp(NewModule, { verifier: star.base.identity.verifier })).rejects.toThrow('GET /api/v1/unheard-of');
  });

  it('uses every permission it knows, and lets every one be held by somebody', () => {
    const asked = new Set(rows.map((row) => row.access));
    expect(permissions.filter((permission) => !asked.has(permission))).toEqual([]);
    const held = new Set(Object.values(permissionsOfRole).flat());
    expect(permissions.filter((permission) => !held.has(permission))).toEqual([]);
  });

  it('is what the OpenAPI description says', () => {
    for (const row of rows) {
      const operation = star.app.openApi().paths[row.path.replace(/:(\w+)/g, '{$1}')]?.[row.method.toLowerCase() as 'get'];
      const keys = [{ bearer: [] }, { apiKey: [] }];
      expect([nameOf(row), operation?.security]).toEqual([
        nameOf(row),
        row.access === 'public' ? [] : row.access === 'anyone' ? keys.slice(0, 1) : keys,
      ]);
    }
  });
});

describe.each(rows.map((row) => [nameOf(row), row] as const))('%s', (name, row) => {
  const ask = () => requestFor(row, aboutNothing());

  it('is for who the table says', async () => {
    const expected: Record<string, boolean> = { nobody: row.access === 'public', garbage: row.access === 'public' };
    const found: Record<string, boolean> = {};
    // Wrong credentials of a log-in are 401 as well; that it was looked at is in its code.
    const lets = async (asked: Ask, stream = isStream(row)) => {
      const answer = stream ? { status: await statusOf(row, asked), text: '' } : await star.ask(asked);
      return ![401, 403].includes(answer.status) || answer.text.includes('session.wrong_credentials');
    };
    found.nobody = await lets(ask());
    found.garbage = await lets(as('not.a.token', ask()));
    for (const role of roles) {
      const tenantId = role.startsWith('platform-') ? platformTenantId : east.tenantId;
      found[role] = await lets(as(await star.tokenFor({ tenantId, roles: [role] }), ask()));
      const permitted: readonly string[] = permissionsOfRole[role];
      expected[role] = row.access === 'public' || row.access === 'anyone' || permitted.includes(row.access);
    }
    found['a role we do not know'] = await lets(as(await star.tokenFor({ tenantId: east.tenantId, roles: ['admin'] }), ask()));
    expected['a role we do not know'] = row.access === 'public' || row.access === 'anyone';
    found['a program'] = await lets(as(east.apiKey, ask()));
    expected['a program'] =
      row.access === 'public' || ['people.read', 'searches.read', 'searches.write', 'edges.read'].includes(row.access);
    expect(found).toEqual(expected);
  });

  if (isProviders(row))
    it('is nothing for a tenant’s people, whatever roles they were given', async () => {
      expect(await statusOf(row, as(east.token, requestFor(row, east)))).toBe(403);
    });
  else if (namesThings(row))
    it('is 404 about another tenant’s things', async () => {
      const foreign = requestFor(row, east);
      expect(await statusOf(row, as(west.token, foreign))).toBe(404);
      if (row.method === 'GET') expect(await statusOf(row, as(east.token, foreign))).toBe(200);
    });

  if (bodyNamesThings.has(name))
    it('says of another tenant’s things what it says of those that do not exist', async () => {
      const [foreign, unknown] = [await star.ask(as(west.token, requestFor(row, east))), await star.ask(as(west.token, ask()))];
      expect(foreign.status).toBeGreaterThanOrEqual(400);
      expect([foreign.status, foreign.body.code]).toEqual([unknown.status, unknown.body.code]);
    });
});

it('after all of that east still has everything it had', async () => {
  for (const row of rows.filter((each) => each.method === 'GET' && namesThings(each) && !isProviders(each)))
    expect([nameOf(row), await statusOf(row, as(east.token, requestFor(row, east)))]).toEqual([nameOf(row), 200]);
});

it('every permission that a program may have opens its routes and no others', async () => {
  const token = await star.tokenFor({ tenantId: east.tenantId });
  for (const permission of grantable) {
    const made = await star.ask(
      as(token, { method: 'POST', url: '/api/v1/api-keys', body: { name: permission, permissions: [permission] } }),
    );
    for (const row of rows.filter((each) => !isStream(each) && each.access !== 'public')) {
      const { status } = await star.ask(as(made.body.key, requestFor(row, aboutNothing())));
      expect([permission, nameOf(row), status !== 403 && status !== 401]).toEqual([permission, nameOf(row), row.access === permission]);
    }
  }
});

describe('topics of the hub', () => {
  const filled = (topic: string) => topic.replaceAll('+', '1');
  const up = topicPolicy.filter((row) => row.direction === 'up' && row.access === 'device').map((row) => row.topic);
  const down = topicPolicy.filter((row) => row.direction === 'down' && row.access === 'device').map((row) => row.topic);

  it('are those of the table', () => {
    expect([...deviceTopics.up].sort()).toEqual([...up].sort());
    expect([...deviceTopics.down].sort()).toEqual([...down].sort());
  });

  it('are closed to nobody, people, programs and keys for registering', async () => {
    const operator = await star.tokenFor({ tenantId: east.tenantId });
    for (const username of [undefined, '', 'x', operator, east.apiKey, east.ids.edgeId, east.tenantId, `${east.deviceToken}x`])
      expect([
        username,
        await Device.refusal(star.mqttPort, { protocolVersion: 5, ...(username === undefined ? {} : { username }) }),
      ]).not.toEqual([username, 0]);
    for (const row of topicPolicy.filter((each) => each.access === 'device')) {
      const box = await Device.connect(star.mqttPort, { username: 'provision', protocolVersion: 5 });
      if (row.direction === 'down') expect([row.topic, await box.subscribe(row.topic)]).toEqual([row.topic, [0x8f]]);
      else {
        box.publish(filled(row.topic), '{}').catch(() => undefined);
        await box.whenClosed();
      }
      await box.end();
    }
  });

  it('are open to a box for itself, and nothing else is', async () => {
    const box = await Device.connect(star.mqttPort, { username: west.deviceToken, protocolVersion: 5 });
    for (const topic of down) expect([topic, await box.subscribe(topic)]).toEqual([topic, [1]]);
    const foreign = [
      '#',
      '+/#',
      '/provision/response',
      'v1/devices/+/attributes',
      `v1/devices/${east.ids.edgeId}/attributes`,
      `v1/devices/${east.deviceToken}/rpc/request/+`,
      `${east.tenantId}/#`,
      '$share/x/v1/devices/me/attributes',
      '$SYS/#',
    ];
    for (const topic of foreign) expect([topic, await box.subscribe(topic)]).toEqual([topic, [0x8f]]);
    for (const topic of [
      '/provision/request',
      `v1/devices/${east.ids.edgeId}/telemetry`,
      `v1/devices/${east.deviceToken}/attributes`,
      'v1/gateway/telemetry',
      'v2/fw/error',
    ])
      await expect(box.publish(topic, '{}')).rejects.toMatchObject({ code: 0x90 });
    await box.end();
  });

  it('say nothing in another tenant’s name: what a box claims about others stays its own', async () => {
    const mark = `forged-${randomUUID()}`;
    const box = await Device.connect(star.mqttPort, { username: west.deviceToken });
    const { ids } = east;
    const at = Date.now();
    const totals = { rangeMs: 1, doneMs: 1, segmentsDone: 1, segmentsFailed: 0, downloadedBytes: 0, keyframesDecoded: 0, matches: 1 };
    const match = {
      sightingId: mark,
      personId: ids.personId,
      cameraId: ids.cameraId,
      at,
      score: 1,
      quality: 1,
      box: [0, 0, 1, 1],
      frame: [1, 1],
    };
    const search = (await star.ask(as(east.token, { method: 'GET', url: `/api/v1/searches/${ids.searchId}` }))).body;
    const taskId = search.tasks[0].id as string;
    const values = {
      recorderReport: {
        id: mark,
        recorderId: ids.recorderId,
        reachable: false,
        checkedAt: at,
        clockOffsetMs: 0,
        model: mark,
        serialNumber: mark,
        firmware: mark,
        channels: [],
      },
      taskReport: {
        id: `${taskId}:2`,
        taskId,
        searchId: ids.searchId,
        seq: 2,
        state: 'failed',
        packId: 'x',
        coverage: [],
        matches: [match],
        totals,
      },
    };
    await box.publish('v1/devices/me/telemetry', { ts: at, values });
    await box.publish('v1/devices/me/attributes', { [mark]: 1, tenantId: east.tenantId, edgeId: ids.edgeId });
    await box.end();
    // The bus keeps the order of one box, so once this has come through, so has all before it.
    const own = {
      id: `${west.ids.recorderId}:2`,
      recorderId: west.ids.recorderId,
      reachable: false,
      checkedAt: at,
      clockOffsetMs: 0,
      model: mark,
      serialNumber: '',
      firmware: '',
      channels: [],
    };
    const again = await Device.connect(star.mqttPort, { username: west.deviceToken });
    await again.publish('v1/devices/me/telemetry', { ts: at, values: { recorderReport: own } });
    await again.end();
    await eventually(async () =>
      (await star.ask(as(west.token, { method: 'GET', url: `/api/v1/recorders/${west.ids.recorderId}` }))).body.model === mark
        ? true
        : undefined,
    );
    for (const row of rows.filter((each) => each.method === 'GET' && !isStream(each))) {
      const { text } = await star.ask(as(east.token, requestFor(row, east)));
      expect([nameOf(row), text.includes(mark)]).toEqual([nameOf(row), false]);
    }
    const after = (await star.ask(as(east.token, { method: 'GET', url: `/api/v1/searches/${ids.searchId}` }))).body;
    expect([after.state, after.matches, after.tasks[0].state]).toEqual([search.state, search.matches, search.tasks[0].state]);
  });
});

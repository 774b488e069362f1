/** Real: PostgreSQL, the bus in it, Nest consumers, gRPC, mqtt.js as the device. */
import { randomUUID } from 'node:crypto';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import type { Removal, Retention } from '@star/platform';
import { type EdgeRpc, devices as wire } from '@stardipper/proto';
import { devicesGrpcService } from '../src';
import { adminOf, anEdge, aWorld, Device, pause, RawClient, type RegisteredEdge, until, type World } from './world';

const calls = 'v1/devices/me/rpc/request/+';
const replyTopic = (id: number | string) => `v1/devices/me/rpc/response/${id}`;
let world: World;
let main: Awaited<ReturnType<World['devices']>>;
let tenantId: string;

beforeAll(async () => {
  world = await aWorld();
  main = await world.devices({ ackTimeoutMs: 300 });
  tenantId = world.tenants[0];
});
afterAll(() => world?.close());

/** As the bus hands it over. */
const requested = (
  edgeId: string,
  options: { taskId?: string; tenant?: string; expiresAtMs?: number; id?: string; params?: string; method?: string } = {},
) => ({
  topic: 'search.task.requested.v1' as const,
  key: edgeId,
  id: options.id ?? randomUUID(),
  tenantId: options.tenant ?? tenantId,
  occurredAt: new Date(),
  message: {
    searchId: randomUUID(),
    taskId: options.taskId ?? randomUUID(),
    edgeId,
    method: options.method ?? 'createTask',
    paramsJson: options.params ?? '{"taskId":"t","deep":[1,{"a":null}]}',
    expiresAtMs: options.expiresAtMs ?? Date.now() + 60_000,
  },
});

const rpcs = async (edgeId: string): Promise<EdgeRpc[]> =>
  (await main.devices.readEdgeRpcs(adminOf(tenantId), edgeId, { limit: 50 })).items;
const stateOf = async (edgeId: string) => (await rpcs(edgeId))[0]?.state;
const finished = (taskId: string) => world.record('device.rpc.finished.v1', (r) => r.message.correlationId === taskId);

/** A box that replies to every call with `answer`. */
async function aBox(
  edge: RegisteredEdge,
  answer: (body: { method: string; params: unknown }) => unknown,
  port = main.port,
): Promise<Device> {
  const device = await Device.connect(port, { protocolVersion: 5, username: edge.token });
  device.client.on('message', (topic, payload) => {
    if (!topic.includes('/rpc/request/')) return;
    const reply = answer(JSON.parse(payload.toString()));
    if (reply !== undefined) void device.publish(replyTopic(topic.split('/').at(-1)!), reply).catch(() => {});
  });
  await device.subscribe(calls);
  return device;
}

describe('a call to an edge that is online', () => {
  it('arrives, is answered, and is announced with its round trip', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const box = await aBox(edge, ({ params }) => ({ accepted: true, got: params }));
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    const end = await finished(record.message.taskId);
    expect(end).toMatchObject({ tenantId, message: { edgeId: edge.edgeId, method: 'createTask', state: 'SUCCESSFUL' } });
    expect(JSON.parse(end.message.replyJson)).toEqual({ accepted: true, got: { taskId: 't', deep: [1, { a: null }] } });
    expect(end.message.roundTripMs).toBeGreaterThan(0);
    const [listed] = await rpcs(edge.edgeId);
    expect(listed).toMatchObject({ requestId: 1, state: 'SUCCESSFUL', correlationId: record.message.taskId, reply: { accepted: true } });
    expect(listed!.roundTripMs).toBeCloseTo(end.message.roundTripMs, 6);
    expect(new Date(listed!.repliedAt!).getTime()).toBeGreaterThanOrEqual(new Date(listed!.sentAt!).getTime());
    await box.end();
  });

  it('is made once, however often its record comes', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const box = await aBox(edge, () => ({ accepted: true }));
    const record = requested(edge.edgeId);
    await Promise.all([1, 2, 3].map(() => main.devices.requestTasks([record])));
    await finished(record.message.taskId);
    await main.devices.requestTasks([record]);
    expect(await rpcs(edge.edgeId)).toHaveLength(1);
    expect(box.messages).toHaveLength(1);
    await box.end();
  });

  it('shows SENT, DELIVERED and SUCCESSFUL as they happen', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const raw = await RawClient.logIn(main.port, edge.token);
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: calls, qos: 1 }] });
    await raw.packet('suback');
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    const call = (await raw.packet('publish')) as { topic: string; messageId: number };
    await until(async () => (await stateOf(edge.edgeId)) === 'SENT');
    raw.send({ cmd: 'puback', messageId: call.messageId });
    await until(async () => (await stateOf(edge.edgeId)) === 'DELIVERED');
    raw.send({ cmd: 'publish', topic: replyTopic(1), payload: '{"ok":1}', qos: 1, messageId: 9, dup: false, retain: false });
    expect(await raw.packet('puback')).toMatchObject({ messageId: 9 });
    // The acknowledged reply is durable at once.
    expect(await stateOf(edge.edgeId)).toBe('SUCCESSFUL');
    raw.socket.destroy();
  });

  it('reaches a device that subscribed by the short topics, at QoS 0', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const device = await Device.connect(main.port, { username: edge.token });
    await device.client.subscribeAsync('v2/r/req/+', { qos: 0 });
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    await device.message('v2/r/req/1');
    await device.publish('v2/r/res/1', { short: true });
    expect((await finished(record.message.taskId)).message.replyJson).toBe('{"short":true}');
    await device.end();
  });
});

describe('a call to an edge that is offline', () => {
  it('waits, and comes in order when the edge returns', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const records = Array.from({ length: 120 }, (_, n) => requested(edge.edgeId, { params: `{"n":${n}}` }));
    for (const record of records) await main.devices.requestTasks([record]);
    expect(await stateOf(edge.edgeId)).toBe('QUEUED');
    const box = await aBox(edge, ({ params }) => params);
    await Promise.all(records.map((record) => finished(record.message.taskId)));
    expect(box.messages.map((m) => (m.body as { params: { n: number } }).params.n)).toEqual(records.map((_, n) => n));
    await box.end();
  });

  it('ends as EXPIRED when its time is over, and a late reply changes nothing', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const record = requested(edge.edgeId, { expiresAtMs: Date.now() + 200 });
    await main.devices.requestTasks([record]);
    expect((await finished(record.message.taskId)).message).toMatchObject({ state: 'EXPIRED', replyJson: '', roundTripMs: 0 });
    const late = await aBox(edge, () => ({ late: true }));
    await late.publish(replyTopic(1), { late: true });
    expect(await stateOf(edge.edgeId)).toBe('EXPIRED');
    expect(late.messages).toEqual([]);
    await late.end();
  });

  it('survives a restart of the hub, also when it was sent and not answered', async () => {
    const doomed = await world.devices();
    const edge = await anEdge(world, doomed.devices, doomed.port);
    const first = await aBox(edge, () => undefined, doomed.port);
    const record = requested(edge.edgeId);
    await doomed.devices.requestTasks([record]);
    await first.message(/request\/1$/);
    await doomed.devices.abandon();
    await first.whenClosed();
    const second = await aBox(edge, () => ({ accepted: 'after the restart' }));
    expect((await finished(record.message.taskId)).message).toMatchObject({
      state: 'SUCCESSFUL',
      replyJson: '{"accepted":"after the restart"}',
    });
    expect(await rpcs(edge.edgeId)).toHaveLength(1);
    await second.end();
  });

  it('takes the reply of a call sent by a hub that is gone', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    const device = await Device.connect(main.port, { username: edge.token });
    await device.publish(replyTopic(1), { from: 'memory' });
    expect((await finished(record.message.taskId)).message.replyJson).toBe('{"from":"memory"}');
    await device.end();
  });
});

describe('a device that does not acknowledge', () => {
  it('gets the call again when it shows itself, and after the last retry the call has FAILED', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const raw = await RawClient.logIn(main.port, edge.token);
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: calls, qos: 1 }] });
    await raw.packet('suback');
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    await until(async () => (await stateOf(edge.edgeId)) === 'TIMEOUT');
    await pause(600);
    // Silent since: nothing was wasted on a connection that may be dead.
    expect(raw.count('publish')).toBe(1);
    const pinging = setInterval(() => raw.send({ cmd: 'pingreq' }), 50);
    const end = await finished(record.message.taskId);
    clearInterval(pinging);
    expect(end.message).toMatchObject({ state: 'FAILED', replyJson: '{"error":{"code":"rpc.retries_exhausted","params":{"retries":5}}}' });
    expect(raw.count('publish')).toBe(6);
    raw.socket.destroy();
  });
});

describe('calls that go nowhere', () => {
  it('fail at once for unknown and foreign edges, and for what cannot be sent', async () => {
    const foreign = await anEdge(world, main.devices, main.port, world.tenants[1]);
    const own = await anEdge(world, main.devices, main.port);
    const cases: [ReturnType<typeof requested>, string][] = [
      [requested(randomUUID()), 'edge.not_found'],
      [requested('no uuid'), 'edge.not_found'],
      [requested(foreign.edgeId), 'edge.not_found'],
      [requested(own.edgeId, { params: JSON.stringify('x'.repeat(66_000)) }), 'rpc.too_large'],
      [requested(own.edgeId, { params: '{' }), 'rpc.params_invalid'],
    ];
    for (const [record, code] of cases) {
      await main.devices.requestTasks([record]);
      const end = await finished(record.message.taskId);
      expect(end.message).toMatchObject({ state: 'FAILED', replyJson: JSON.stringify({ error: { code } }) });
    }
  });

  it('cannot be answered by another device', async () => {
    const [asked, other] = [await anEdge(world, main.devices, main.port), await anEdge(world, main.devices, main.port)];
    const box = await aBox(asked, () => undefined);
    await main.devices.requestTasks([requested(asked.edgeId)]);
    await box.message(/request\/1$/);
    const liar = await Device.connect(main.port, { username: other.token });
    await liar.publish(replyTopic(1), { accepted: 'a lie' });
    await until(async () => (await stateOf(asked.edgeId)) === 'DELIVERED');
    expect(await rpcs(other.edgeId)).toEqual([]);
    await Promise.all([box.end(), liar.end()]);
  });

  it('stay open through replies that are none, and take the good one that follows', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    const box = await aBox(edge, () => undefined);
    await box.message(/request\/1$/);
    for (const bad of ['', '{"accepted"', Buffer.from([0xff])])
      await expect(box.publish(replyTopic(1), bad)).rejects.toMatchObject({ code: 0x99 });
    for (const id of ['x', '-1', '4294967296']) await expect(box.publish(replyTopic(id), {})).rejects.toMatchObject({ code: 0x99 });
    // A number that was never given is nobody's; that is no fault of the message.
    await box.publish(replyTopic(77), { accepted: true });
    await until(async () => (await stateOf(edge.edgeId)) === 'DELIVERED');
    await box.publish(replyTopic(1), { accepted: true, twice: false });
    await box.publish(replyTopic(1), { accepted: true, twice: true });
    expect((await finished(record.message.taskId)).message).toMatchObject({
      state: 'SUCCESSFUL',
      replyJson: '{"accepted":true,"twice":false}',
    });
    expect(world.seen.filter((r) => r.topic === 'device.rpc.finished.v1' && r.key === edge.edgeId)).toHaveLength(1);
    await box.end();
  });

  it('end as FAILED with the edge that is deleted', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    await main.devices.removeEdge(adminOf(tenantId), edge.edgeId);
    expect((await finished(record.message.taskId)).message).toMatchObject({
      state: 'FAILED',
      replyJson: '{"error":{"code":"edge.deleted"}}',
    });
  });
});

describe('calls that have ended', () => {
  it('are forgotten after their time, all of them and no others', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const [old, young, open] = [requested(edge.edgeId), requested(edge.edgeId), requested(edge.edgeId)];
    for (const record of [old, young, open]) await main.devices.requestTasks([record]);
    const device = await Device.connect(main.port, { username: edge.token });
    for (const id of [1, 2]) await device.publish(replyTopic(id), { done: id });
    await Promise.all([old, young].map((record) => finished(record.message.taskId)));
    await device.end();
    await world.database.db.tenant(tenantId, async (tx) => {
      const age = (requestId: number, days: number) =>
        tx.execute(
          `UPDATE devices.rpcs SET created_at = now() - $3 * interval '1 day',
             finished_at = CASE WHEN finished_at IS NOT NULL THEN now() - $3 * interval '1 day' END
           WHERE edge_id = $1 AND request_id = $2`,
          [edge.edgeId, requestId, days],
        );
      // By whole days: what ended on the thirtieth day back may still be there.
      await age(1, 31);
      await age(2, 29.99);
      // Open calls are no upkeep's business, whatever their age.
      await age(3, 400);
      // More than one batch.
      await tx.execute(
        `INSERT INTO devices.rpcs (id, tenant_id, edge_id, request_id, method, params_json, state, retries, expires_at, finished_at)
         SELECT gen_random_uuid(), $1, $2, n, 'createTask', '{}', 'SUCCESSFUL', 5, now(), now() - interval '31 days'
         FROM generate_series(1001, 3500) AS n`,
        [tenantId, edge.edgeId],
      );
    });
    const told: Removal[] = [];
    const retention: Retention = {
      tenants: async () => [],
      daysOf: () => Promise.reject(new Error('nobody asks')),
      record: async (_, removal) => void told.push(removal),
    };
    const tidy = await world.devices({ upkeepEveryMs: 100, retention });
    await until(async () => (await rpcs(edge.edgeId)).length === 2);
    expect((await rpcs(edge.edgeId)).map((rpc) => [rpc.requestId, rpc.state]).sort()).toEqual([
      [2, 'SUCCESSFUL'],
      [3, 'QUEUED'],
    ]);
    await tidy.stop();
    expect(told.map(({ tenantId: whose, kind }) => [whose, kind])).toEqual(told.map(() => [tenantId, 'calls']));
    expect(told.reduce((sum, { items }) => sum + items, 0)).toBeGreaterThanOrEqual(2500);
    const brief = await world.devices({ upkeepEveryMs: 100, rpcKeepDays: 20 });
    await until(async () => (await rpcs(edge.edgeId)).length === 1);
    expect((await rpcs(edge.edgeId))[0]).toMatchObject({ requestId: 3, state: 'QUEUED' });
    await brief.stop();
  });
});

describe('questions', () => {
  const ask = (edgeId: string, options: { tenant?: string; timeoutMs?: number; devices?: typeof main.devices } = {}) =>
    (options.devices ?? main.devices).askEdge(options.tenant ?? tenantId, edgeId, 'estimateTask', '{"q":1}', options.timeoutMs ?? 5000);

  it('are answered, or say why not', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    await expect(ask(edge.edgeId)).rejects.toMatchObject({ code: 'edge.offline', kind: 'unavailable' });
    await expect(ask(edge.edgeId, { tenant: world.tenants[1] })).rejects.toMatchObject({ code: 'edge.not_found' });
    await expect(ask(randomUUID())).rejects.toMatchObject({ code: 'edge.not_found' });
    let mute = false;
    const box = await aBox(edge, ({ method, params }) => (mute ? undefined : { method, params }));
    const answers = await Promise.all([1, 2, 3].map(() => ask(edge.edgeId)));
    for (const { replyJson } of answers) expect(JSON.parse(replyJson)).toEqual({ method: 'estimateTask', params: { q: 1 } });
    mute = true;
    await expect(ask(edge.edgeId, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'edge.timeout', kind: 'timeout' });
    const asking = ask(edge.edgeId);
    const outcome = expect(asking).rejects.toMatchObject({ code: 'edge.offline' });
    await until(() => box.messages.length === 5);
    await box.end();
    await outcome;
    expect(await rpcs(edge.edgeId)).toEqual([]);
  });

  it('and calls find an edge that is connected to another hub', async () => {
    const other = await world.devices();
    const edge = await anEdge(world, main.devices, main.port);
    const box = await aBox(edge, () => ({ from: 'afar' }), other.port);
    await until(async () => (await main.devices.readEdge(adminOf(tenantId), edge.edgeId)).online);
    expect(JSON.parse((await ask(edge.edgeId)).replyJson)).toEqual({ from: 'afar' });
    const record = requested(edge.edgeId);
    await main.devices.requestTasks([record]);
    expect((await finished(record.message.taskId)).message).toMatchObject({ state: 'SUCCESSFUL', replyJson: '{"from":"afar"}' });
    await box.end();
    await other.stop();
  });

  it('travel over gRPC with stable codes', async () => {
    const edge = await anEdge(world, main.devices, main.port);
    const server = new Server();
    server.addService(...devicesGrpcService(main.devices));
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
    );
    const client = new wire.DevicesServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
    const call = (tenant: string) =>
      new Promise<wire.AskEdgeResponse>((resolve, reject) =>
        client.askEdge(
          { tenantId: tenant, edgeId: edge.edgeId, method: 'estimateTask', paramsJson: '{}', timeoutMs: 1000 },
          (error, answer) => (error ? reject(error) : resolve(answer)),
        ),
      );
    await expect(call(tenantId)).rejects.toMatchObject({ code: 14, details: expect.stringContaining('"edge.offline"') });
    await expect(call(world.tenants[1])).rejects.toMatchObject({ code: 5 });
    const box = await aBox(edge, () => ({ fine: true }));
    expect(await call(tenantId)).toEqual({ replyJson: '{"fine":true}' });
    client.close();
    server.forceShutdown();
    await box.end();
  });
});

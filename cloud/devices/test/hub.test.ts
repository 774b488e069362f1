/** Real: PostgreSQL, the bus in it, TCP, mqtt.js as the device, raw sockets where no library would misbehave. */
import { randomUUID } from 'node:crypto';
import { limitsByDefault } from '@star/platform';
import { generate } from 'mqtt-packet';
import { defaultHubSettings } from '../src';
import { createDeviceHub } from '../src/device-hub';
import { adminOf, anEdge, aWorld, Device, fallibleBus, pause, provision, RawClient, silent, until, type World } from './world';

const telemetry = 'v1/devices/me/telemetry';
const attributes = 'v1/devices/me/attributes';
let world: World;
let main: Awaited<ReturnType<World['devices']>>;
const [v3, v5] = [{ protocolVersion: 4 } as const, { protocolVersion: 5 } as const];

beforeAll(async () => {
  world = await aWorld();
  main = await world.devices();
});
afterAll(() => world?.close());

const edgeHere = (tenantId?: string) => anEdge(world, main.devices, main.port, tenantId);
const online = async (edgeId: string, tenantId = world.tenants[0]) => (await main.devices.readEdge(adminOf(tenantId), edgeId)).online;

describe('logging in', () => {
  it('takes a token in all three versions of MQTT', async () => {
    const { token } = await edgeHere();
    for (const options of [{ protocolVersion: 3, protocolId: 'MQIsdp', clientId: 'x' } as const, v3, v5]) {
      const device = await Device.connect(main.port, { ...options, username: token });
      await device.publish(telemetry, { alive: true });
      await device.end();
    }
  });

  it('refuses what is nobody’s with ThingsBoard’s codes', async () => {
    expect(await Device.refusal(main.port, { ...v3, username: 'wrong' })).toBe(5);
    expect(await Device.refusal(main.port, { ...v5, username: 'wrong' })).toBe(0x86);
    expect(await Device.refusal(main.port, { ...v3, username: 'wrong', password: 'wrong', clientId: 'someone' })).toBe(5);
    expect(await Device.refusal(main.port, { ...v3, clientId: 'someone' })).toBe(2);
    expect(await Device.refusal(main.port, { ...v5, clientId: 'someone' })).toBe(0x85);
    expect(await Device.refusal(main.port, { ...v5 })).toBe(0x87);
    expect(await Device.refusal(main.port, { ...v3, username: 'a', password: 'b' })).toBe(5);
  });

  it('takes basic credentials only as they are stored', async () => {
    const key = await main.devices.issueProvisioningKey(adminOf(world.tenants[0]), world.areaId);
    const basic = { credentialsType: 'MQTT_BASIC', clientId: 'c-1', username: 'u-1', password: 'p-1' };
    expect(await provision(main.port, key, basic)).toEqual({
      status: 'SUCCESS',
      credentialsType: 'MQTT_BASIC',
      credentialsValue: { clientId: 'c-1', userName: 'u-1', password: 'p-1' },
    });
    expect(await Device.refusal(main.port, { clientId: 'c-1', username: 'u-1', password: 'p-1' })).toBe(0);
    expect(await Device.refusal(main.port, { clientId: 'c-1', username: 'u-1', password: 'p-2' })).toBe(5);
    expect(await Device.refusal(main.port, { clientId: 'c-2', username: 'u-1', password: 'p-1' })).toBe(5);
    expect(await Device.refusal(main.port, { clientId: 'c-1' })).toBe(2);
  });

  it('answers "unavailable" while the database is away', async () => {
    const { db } = world.database;
    const hub = createDeviceHub({
      db: { ...db, system: (why, work) => (why === 'device login' ? Promise.reject(new Error('away')) : db.system(why, work)) },
      bus: world.bus,
      writeEvent: async () => {},
      writeEvents: async () => {},
      audit: async () => {},
      log: silent,
      limitsOf: limitsByDefault,
      holdArea: async () => undefined,
      areasVisibleTo: async () => 'all',
      secrets: {} as never,
      signCrops: async () => [],
      objects: {} as never,
      settings: { ...defaultHubSettings, port: 0 },
      ackTimeoutMs: 1000,
      leaseMs: 1500,
      expiryEveryMs: 1000,
      rpcKeepDays: 30,
      upkeepEveryMs: 3_600_000,
    });
    const port = await hub.start();
    expect(await Device.refusal(port, { ...v3, username: 'any' })).toBe(3);
    expect(await Device.refusal(port, { ...v5, username: 'any' })).toBe(0x88);
    await hub.stop();
  });

  it('lets a new session of the same device take over', async () => {
    const { edgeId, token } = await edgeHere();
    const first = await Device.connect(main.port, { ...v5, username: token });
    const second = await Device.connect(main.port, { ...v5, username: token });
    await first.whenClosed();
    expect(first.disconnectReason).toBe(0x8e);
    await second.publish(telemetry, { still: 'here' });
    expect(await until(() => online(edgeId))).toBe(true);
    await second.end();
    await until(async () => !(await online(edgeId)));
  });
});

describe('registering', () => {
  it('makes an edge of the key’s community, and says so', async () => {
    const key = await main.devices.issueProvisioningKey(adminOf(world.tenants[0]), world.areaId);
    const answer = await provision(main.port, key, { deviceName: 'gate house' }, v5);
    expect(answer).toEqual({ status: 'SUCCESS', credentialsType: 'ACCESS_TOKEN', credentialsValue: expect.stringMatching(/^\w{20}$/) });
    const record = await world.record('device.registered.v1', (r) => r.message.name === 'gate house');
    expect(record).toMatchObject({ tenantId: world.tenants[0], message: { areaId: world.areaId } });
    expect(await Device.refusal(main.port, { username: answer.credentialsValue as string })).toBe(0);
  });

  it('does not say whether key or secret was wrong', async () => {
    const key = await main.devices.issueProvisioningKey(adminOf(world.tenants[0]), world.areaId);
    const notFound = { status: 'NOT_FOUND', errorMsg: 'Provision data was not found!' };
    expect(await provision(main.port, { ...key, secret: 'wrong' })).toEqual(notFound);
    expect(await provision(main.port, { key: 'wrong', secret: key.secret as string })).toEqual(notFound);
  });

  it('refuses a taken name, but repeats its answer to the box that has it', async () => {
    const key = await main.devices.issueProvisioningKey(adminOf(world.tenants[0]), world.areaId);
    const failure = { status: 'FAILURE', errorMsg: 'Failed to provision device!' };
    const token = randomUUID();
    const mine = { deviceName: 'twin', token };
    expect(await provision(main.port, key, mine)).toMatchObject({ status: 'SUCCESS', credentialsValue: token });
    expect(await provision(main.port, key, mine)).toMatchObject({ status: 'SUCCESS', credentialsValue: token });
    expect(await provision(main.port, key, { deviceName: 'twin' })).toEqual(failure);
    expect(await provision(main.port, key, { deviceName: 'other', token })).toEqual(failure);
    expect(await provision(main.port, key, { deviceName: 'with cert', credentialsType: 'X509_CERTIFICATE' })).toEqual(failure);
    // Another tenant may use the name.
    const foreign = await main.devices.issueProvisioningKey(adminOf(world.tenants[1]), world.areaId);
    expect(await provision(main.port, foreign, { deviceName: 'twin' })).toMatchObject({ status: 'SUCCESS' });
  });

  it('lets a provisioning session do nothing else', async () => {
    const device = await Device.connect(main.port, { ...v5, username: 'provision' });
    expect(await device.subscribe(attributes)).toEqual([0x8f]);
    device.publish(telemetry, { a: 1 }).catch(() => {});
    await device.whenClosed();
    const other = await Device.connect(main.port, { clientId: 'provision' });
    other.publish('/provision/request', { deviceName: 'no key' }).catch(() => {});
    await other.whenClosed();
  });
});

describe('topics', () => {
  it('refuses foreign filters one by one and keeps the connection', async () => {
    const { token } = await edgeHere();
    const filters = [attributes, '#', 'v1/devices/+/telemetry', 'v1/devices/me/rpc/request/+', `v1/devices/${randomUUID()}/attributes`];
    const device = await Device.connect(main.port, { ...v3, username: token });
    expect(await device.subscribe(...filters)).toEqual([1, 0x80, 0x80, 1, 0x80]);
    await device.publish('some/other/topic', 'anything');
    await device.publish(telemetry, { fine: 1 });
    await device.end();
    const modern = await Device.connect(main.port, { ...v5, username: token });
    expect(await modern.subscribe('#', attributes)).toEqual([0x8f, 1]);
    await expect(modern.publish('some/other/topic', '{}')).rejects.toMatchObject({ code: 0x90 });
    await modern.end();
  });

  it('never brings anything of one device to another', async () => {
    const [a, b] = [await edgeHere(world.tenants[0]), await edgeHere(world.tenants[1])];
    const listener = await Device.connect(main.port, { username: b.token });
    await listener.subscribe(attributes, 'v1/devices/me/rpc/request/+', 'v1/devices/me/rpc/response/+');
    const speaker = await Device.connect(main.port, { username: a.token });
    await speaker.publish(attributes, { secret: 1 });
    await speaker.publish('v1/devices/me/rpc/response/1', { stolen: true });
    await main.devices.setSharedAttributes(world.tenants[0], a.edgeId, new Map([['onlyA', 1]]));
    await pause(100);
    expect(listener.messages).toEqual([]);
    await expect(main.devices.setSharedAttributes(world.tenants[0], b.edgeId, new Map([['x', 1]]))).rejects.toMatchObject({
      code: 'edge.not_found',
    });
    await Promise.all([listener.end(), speaker.end()]);
  });

  it('takes nothing in another device’s name, and says so where the protocol can', async () => {
    const [mine, other] = [await edgeHere(), await edgeHere()];
    const foreign = [
      `v1/devices/${other.edgeId}/telemetry`,
      `v1/devices/${other.token}/attributes`,
      'v1/gateway/telemetry',
      '$SYS/x',
      '#x',
    ];
    const listener = await Device.connect(main.port, { username: other.token });
    await listener.subscribe(attributes);
    for (const version of [v3, v5]) {
      const device = await Device.connect(main.port, { ...version, username: mine.token });
      for (const topic of foreign) {
        const sent = device.publish(topic, { forged: 1 });
        if (version === v5) await expect(sent).rejects.toMatchObject({ code: 0x90 });
        else await sent;
      }
      await device.publish(telemetry, { own: 1 });
      await device.end();
    }
    await until(() => world.seen.filter((r) => r.topic === 'device.telemetry.v1' && r.key === mine.edgeId).length === 2);
    expect(world.seen.filter((r) => JSON.stringify(r.message).includes('forged'))).toEqual([]);
    expect(world.seen.filter((r) => r.topic === 'device.telemetry.v1' && r.key === other.edgeId)).toEqual([]);
    expect(listener.messages).toEqual([]);
    await listener.end();
  });
});

describe('telemetry', () => {
  it('takes every shape and is on the bus by the PUBACK', async () => {
    const { edgeId, token } = await edgeHere();
    const device = await Device.connect(main.port, { username: token });
    await device.publish(telemetry, { plain: 'text', number: '12.5', gone: null, code: '007' });
    await device.publish(telemetry, { ts: 1_700_000_000_000, values: { deep: { a: [1] } } });
    await device.publish('v2/t', [{ ts: 1_700_000_000_001, values: { x: 1 } }, { y: true }]);
    await device.publish(telemetry, '{"big":9007199254740993,"huge":123456789012345678901234567890}');
    await device.publish(telemetry, {});
    await until(() => world.seen.filter((r) => r.key === edgeId && r.topic === 'device.telemetry.v1').length === 5);
    const records = world.seen.filter((r) => r.topic === 'device.telemetry.v1' && r.key === edgeId);
    expect(records.map((r) => (r.message as { valuesJson: string }).valuesJson)).toEqual([
      '{"plain":"text","number":12.5,"code":"007"}',
      '{"deep":{"a":[1]}}',
      '{"x":1}',
      '{"y":true}',
      '{"big":9007199254740993,"huge":"123456789012345678901234567890"}',
    ]);
    expect(records[1]).toMatchObject({
      tenantId: world.tenants[0],
      occurredAt: new Date(1_700_000_000_000),
      message: { edgeId, tsMs: 1_700_000_000_000 },
    });
    await device.end();
  });

  it('closes on what is not JSON; MQTT 5 is told in the PUBACK and may go on', async () => {
    const { token } = await edgeHere();
    for (const bad of ['{"a":', '[1,2]', '7', Buffer.from([0xff, 0xfe]), '{"ts":"x","values":{}}']) {
      const device = await Device.connect(main.port, { ...v3, username: token });
      device.publish(telemetry, bad).catch(() => {});
      await device.whenClosed();
    }
    const modern = await Device.connect(main.port, { ...v5, username: token });
    await expect(modern.publish(telemetry, '{"a":')).rejects.toMatchObject({ code: 0x99 });
    await modern.publish(telemetry, { a: 1 });
    await modern.end();
  });

  it('refuses JSON too deep to be written again, on every topic, and takes what comes after it', async () => {
    const { edgeId, token } = await edgeHere();
    const deep = '['.repeat(30_000) + ']'.repeat(30_000);
    const device = await Device.connect(main.port, { ...v5, username: token });
    const topics = [telemetry, attributes, 'v1/devices/me/rpc/response/1', 'v1/devices/me/rpc/request/1'];
    for (const topic of topics)
      await expect(device.publish(topic, `{"method":"getCurrentTime","params":${deep}}`)).rejects.toMatchObject({ code: 0x99 });
    await expect(device.publish(telemetry, `{"n":12345678901234567,"a":${deep}}`)).rejects.toMatchObject({ code: 0x99 });
    const deepest = `${'['.repeat(99)}${']'.repeat(99)}`;
    await device.publish(telemetry, `{"a":${deepest}}`);
    await world.record('device.telemetry.v1', (r) => r.key === edgeId && r.message.valuesJson === `{"a":${deepest}}`);
    await device.end();
    const old = await Device.connect(main.port, { ...v3, username: token });
    old.publish(telemetry, `{"a":${deep}}`).catch(() => {});
    await old.whenClosed();
  });

  it('passes reports on under their own topics and keeps what it cannot read', async () => {
    const { edgeId, token } = await edgeHere();
    const taskId = randomUUID();
    const report = {
      id: `${taskId}:1`,
      taskId,
      searchId: randomUUID(),
      seq: 1,
      state: 'running',
      packId: 'pack',
      coverage: [],
      matches: [],
      totals: { rangeMs: 1, doneMs: 0, segmentsDone: 0, segmentsFailed: 0, downloadedBytes: 0, keyframesDecoded: 0, matches: 0 },
    };
    const device = await Device.connect(main.port, { ...v5, username: token });
    await device.publish(telemetry, { ts: 1_700_000_000_000, values: { taskReport: report } });
    await device.publish(telemetry, { ts: 1_700_000_000_000, values: { taskReport: { ...report, seq: 'one' }, other: 1 } });
    const record = await world.record('search.progressed.v1', (r) => r.message.taskId === taskId);
    expect(record).toMatchObject({
      id: `${edgeId}:${taskId}:1`,
      key: taskId,
      tenantId: world.tenants[0],
      message: { edgeId, reportId: `${taskId}:1` },
    });
    expect(JSON.parse(record.message.bodyJson)).toEqual(report);
    await world.record('device.telemetry.v1', (r) => r.key === edgeId && r.message.valuesJson === '{"other":1}');
    const kept = await world.database.db.tenant(world.tenants[0], (tx) =>
      tx.query<{ body: Buffer; reason: string }>('SELECT body, reason FROM devices.rejected_reports WHERE edge_id = $1', [edgeId]),
    );
    expect(kept).toHaveLength(1);
    expect(JSON.parse(kept[0]!.body.toString())).toEqual({ ...report, seq: 'one' });
    expect(kept[0]!.reason).toContain('/seq');
    await device.end();
  });

  it('acknowledges nothing that is not on the bus; what is sent again is the same record', async () => {
    const bus = fallibleBus(world.bus);
    const { devices, port, stop } = await world.devices({ bus });
    const { edgeId, token } = await anEdge(world, devices, port);
    bus.failing = true;
    const device = await Device.connect(port, { ...v5, username: token });
    const message = { ts: 1_700_000_000_123, values: { door: 'open' } };
    let acknowledged = false;
    device.publish(telemetry, message).then(
      () => {
        acknowledged = true;
      },
      () => {},
    );
    await device.whenClosed();
    expect(acknowledged).toBe(false);
    bus.failing = false;
    const again = await Device.connect(port, { ...v5, username: token });
    await again.publish(telemetry, message);
    expect(bus.attempts).toHaveLength(2);
    expect(bus.attempts[1]).toEqual(bus.attempts[0]);
    await world.record('device.telemetry.v1', (r) => r.key === edgeId);
    await again.end();
    await stop();
  });
});

describe('attributes', () => {
  it('stores the device’s own, answers requests, pushes shared ones and their deletion', async () => {
    const { edgeId, token } = await edgeHere();
    const tenantId = world.tenants[0];
    const device = await Device.connect(main.port, { ...v5, username: token });
    await device.subscribe(attributes);
    await device.publish(attributes, { firmware: 'v1.2', nested: { a: 1 } });
    await main.devices.setSharedAttributes(
      tenantId,
      edgeId,
      new Map<string, unknown>([
        ['limit', 5],
        ['mode', 'fast'],
      ]),
    );
    expect((await device.message(attributes)).body).toEqual({ limit: 5, mode: 'fast' });
    const ask = async (id: number, body: unknown) => {
      await device.publish(`v1/devices/me/attributes/request/${id}`, body);
      return (await device.message(`v1/devices/me/attributes/response/${id}`)).body;
    };
    expect(await ask(1, {})).toEqual({ client: { firmware: 'v1.2', nested: { a: 1 } }, shared: { limit: 5, mode: 'fast' } });
    expect(await ask(2, { clientKeys: 'firmware,unknown' })).toEqual({ client: { firmware: 'v1.2' } });
    expect(await ask(3, { sharedKeys: 'unknown' })).toEqual({});
    device.messages.length = 0;
    await main.devices.setSharedAttributes(tenantId, edgeId, new Map([['limit', 6]]), ['mode']);
    expect((await device.message(attributes)).body).toEqual({ limit: 6, deleted: ['mode'] });
    await device.publish('v2/a/req/4', {});
    expect((await device.message('v2/a/res/4')).body).toMatchObject({ shared: { limit: 6 } });
    await expect(device.publish('v1/devices/me/attributes/request/abc', {})).rejects.toMatchObject({ code: 0x99 });
    await device.end();
  });

  it('brings recorders with their passwords to the box that owns them, and only there', async () => {
    const { edgeId, token } = await edgeHere();
    const tenantId = world.tenants[0];
    const device = await Device.connect(main.port, { ...v5, username: token });
    await device.subscribe(attributes);
    const settings = {
      name: 'Lobby',
      kind: 'isapi',
      baseUrl: 'http://10.0.0.2',
      username: 'admin',
      password: 'pässword',
      maxSessions: 2,
      timeMode: 'auto',
      timeZone: 'Asia/Shanghai',
    } as const;
    const recorder = await main.devices.addRecorder(adminOf(tenantId), edgeId, settings);
    expect(recorder).not.toHaveProperty('password');
    const key = `recorder.${recorder.id}`;
    const { name: _, ...config } = settings;
    expect((await device.message(attributes)).body).toEqual({ [key]: { id: recorder.id, ...config } });
    device.messages.length = 0;
    await main.devices.changeRecorder(adminOf(tenantId), recorder.id, { password: 'new', maxSessions: 3 });
    expect((await device.message(attributes)).body).toEqual({ [key]: { id: recorder.id, ...config, password: 'new', maxSessions: 3 } });
    device.messages.length = 0;
    await main.devices.removeRecorder(adminOf(tenantId), recorder.id);
    expect((await device.message(attributes)).body).toEqual({ deleted: [key] });
    const stored = await world.database.db.system('test', (tx) => tx.query('SELECT * FROM devices.recorders'));
    expect(JSON.stringify(stored)).not.toContain('pässword');
    await device.end();
  });
});

describe('calls of devices to Star', () => {
  it('answers limits, time and addresses for crops', async () => {
    const { edgeId, token } = await edgeHere();
    const device = await Device.connect(main.port, { ...v3, username: token });
    const call = async (id: number, method: string, params: unknown = {}) => {
      await device.publish(`v1/devices/me/rpc/request/${id}`, { method, params });
      return (await device.message(`v1/devices/me/rpc/response/${id}`)).body;
    };
    expect(await call(1, 'getSessionLimits')).toEqual({ maxPayloadSize: 65536, maxInflightMessages: 100, rateLimits: {} });
    expect(await call(2, 'getCurrentTime')).toEqual({ currentTime: expect.any(Number) });
    expect(await call(3, 'signCropUpload', { sightingIds: ['s1'] })).toEqual({
      uploads: [{ sightingId: 's1', url: `http://objects.test/${world.tenants[0]}/${edgeId}/s1` }],
    });
    expect(await call(4, 'signCropUpload', { sightingIds: ['../../x'] })).toEqual({ error: 'rpc.params_invalid' });
    expect(await call(5, 'toString')).toEqual({ error: 'rpc.method_unknown' });
    await device.end();
  });
});

describe('abuse', () => {
  it('closes at the announcement of a megabyte, before it has come', async () => {
    const { token } = await edgeHere();
    const client = await RawClient.logIn(main.port, token);
    // PUBLISH, QoS 1, remaining length 1,048,576: only these five bytes are sent.
    client.socket.write(Buffer.from([0x32, 0x80, 0x80, 0x40]));
    await client.whenClosed();
    const device = await Device.connect(main.port, { ...v5, username: token, properties: { maximumPacketSize: 10_000_000 } });
    device.publish(telemetry, { long: 'x'.repeat(1_048_576) }).catch(() => {});
    await device.whenClosed();
  });

  it('takes 64 KB, byte by byte if need be', async () => {
    const { edgeId, token } = await edgeHere();
    const device = await Device.connect(main.port, { ...v3, username: token });
    await device.publish(telemetry, JSON.stringify({ x: 'y'.repeat(65_536 - 8) }));
    device.publish(telemetry, JSON.stringify({ x: 'y'.repeat(65_536) })).catch(() => {});
    await device.whenClosed();
    const slow = await RawClient.logIn(main.port, token);
    for (const byte of generate({
      cmd: 'publish',
      topic: telemetry,
      payload: '{"slow":1}',
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
    })) {
      slow.socket.write(Buffer.of(byte));
      await pause(0);
    }
    expect(await slow.packet('puback')).toMatchObject({ messageId: 7 });
    await world.record('device.telemetry.v1', (r) => r.key === edgeId && r.message.valuesJson === '{"slow":1}');
    slow.socket.destroy();
  });

  it('closes on anything before CONNECT, a second CONNECT, garbage and silence', async () => {
    const { port, stop } = await world.devices({ hub: { connectTimeoutMs: 300 } });
    const { token } = await edgeHere();
    const early = await RawClient.open(port);
    early.send({ cmd: 'pingreq' });
    await early.whenClosed();
    const twice = await RawClient.logIn(port, token);
    twice.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: '', keepalive: 60, username: token });
    await twice.whenClosed();
    for (const garbage of [
      [0x10, 0x04, 0, 9, 0x4d, 0x51],
      [0xf0, 0],
      [0x10, 0xff, 0xff, 0xff, 0xff],
      [0x47, 0x45, 0x54, 0x20],
    ]) {
      const client = await RawClient.open(port);
      client.socket.write(Buffer.from(garbage));
      await client.whenClosed();
    }
    const silentOne = await RawClient.open(port);
    await silentOne.whenClosed();
    const sleepy = await RawClient.open(port);
    sleepy.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: '', keepalive: 1, username: token });
    await sleepy.packet('connack');
    await sleepy.whenClosed();
    await stop();
  });

  it('answers every message of a flood, in order, with a bounded number in work', async () => {
    const bus = fallibleBus(world.bus);
    const { devices, port, stop } = await world.devices({ bus });
    const { token } = await anEdge(world, devices, port);
    const client = await RawClient.logIn(port, token);
    const total = 3000;
    const publishes = Array.from({ length: total }, (_, n) => ({
      cmd: 'publish' as const,
      topic: telemetry,
      payload: `{"ts":1700000000000,"values":{"n":${n}}}`,
      qos: 1 as const,
      messageId: (n % 65_535) + 1,
      dup: false,
      retain: false,
    }));
    client.send(...publishes);
    await until(() => client.count('puback') === total);
    expect(client.packets.filter((p) => p.cmd === 'puback').map((p) => p.messageId)).toEqual(publishes.map((p) => p.messageId));
    expect(Math.max(...bus.attempts.map((records) => records.length))).toBeLessThanOrEqual(100);
    expect(bus.attempts.flat().map((r) => (r.message as { valuesJson: string }).valuesJson)).toEqual(publishes.map((_, n) => `{"n":${n}}`));
    client.socket.destroy();
    await stop();
  });

  it('closes a device beyond its rates, also when it comes back at once, and says the limits when asked', async () => {
    const { devices, port, stop } = await world.devices({
      hub: { rateLimits: { messages: '5:3600', telemetryMessages: '', telemetryDataPoints: '' } },
    });
    const { edgeId, token } = await anEdge(world, devices, port);
    const device = await Device.connect(port, { ...v5, username: token });
    await device.publish('v1/devices/me/rpc/request/1', { method: 'getSessionLimits', params: {} });
    expect((await device.message('v1/devices/me/rpc/response/1')).body).toMatchObject({ rateLimits: { messages: '5:3600' } });
    for (let n = 0; n < 4; n++) await device.publish(telemetry, { n });
    device.publish(telemetry, { n: 5 }).catch(() => {});
    await device.whenClosed();
    expect(device.disconnectReason).toBe(0x83);
    const again = await Device.connect(port, { ...v5, username: token });
    again.publish(telemetry, { n: 6 }).catch(() => {});
    await again.whenClosed();
    await until(() => world.seen.filter((r) => r.key === edgeId && r.topic === 'device.telemetry.v1').length === 4);
    await stop();
  });

  it('refuses more sessions than it bears, and reads what came with a log-in when that is decided', async () => {
    const { devices, port, stop } = await world.devices({ hub: { maxSessions: 1 } });
    const [a, b] = [await anEdge(world, devices, port), await anEdge(world, devices, port)];
    const first = await Device.connect(port, { username: a.token });
    expect(await Device.refusal(port, { username: b.token })).toBe(3);
    await first.end();
    const eager = await RawClient.open(port);
    const ping = { cmd: 'pingreq' as const };
    eager.send(
      { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: '', keepalive: 60, username: b.token },
      ...Array.from({ length: 101 }, () => ping),
    );
    await until(() => eager.count('pingresp') === 101);
    await stop();
  });

  it('gives whoever wants to register a minute in all, whatever it does meanwhile', async () => {
    const { port, stop } = await world.devices({ hub: { provisionTimeoutMs: 300 } });
    const idle = await RawClient.open(port);
    idle.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'provision', keepalive: 60 });
    await idle.packet('connack');
    const pinging = setInterval(() => idle.send({ cmd: 'pingreq' }), 20);
    await idle.whenClosed().finally(() => clearInterval(pinging));
    await stop();
  });
});

describe('presence', () => {
  it('is written with its events and never outlives the hub', async () => {
    const doomed = await world.devices({ leaseMs: 600 });
    const { edgeId, token } = await anEdge(world, doomed.devices, doomed.port);
    expect(await online(edgeId)).toBe(false);
    await Device.connect(doomed.port, { username: token });
    await until(() => online(edgeId));
    await world.record('device.status.changed.v1', (r) => r.key === edgeId && r.message.online);
    await doomed.devices.abandon();
    // The row still names the dead hub: the lease alone makes it offline, and another hub says so to the others.
    await until(async () => !(await online(edgeId)));
    await world.record('device.status.changed.v1', (r) => r.key === edgeId && !r.message.online);
    const device = await Device.connect(main.port, { username: token });
    await until(() => online(edgeId));
    expect((await main.devices.readEdge(adminOf(world.tenants[0]), edgeId)).lastSeenAt).not.toBeNull();
    await device.end();
    await until(async () => !(await online(edgeId)));
  });

  it('moves with the device from one hub to another', async () => {
    const other = await world.devices();
    const { edgeId, token } = await edgeHere();
    const here = await Device.connect(main.port, { ...v5, username: token });
    await until(() => online(edgeId));
    const there = await Device.connect(other.port, { ...v5, username: token });
    await here.whenClosed();
    expect(here.disconnectReason).toBe(0x8e);
    await pause(200);
    expect(await online(edgeId)).toBe(true);
    await there.end();
    await until(async () => !(await online(edgeId)));
    await other.stop();
  });

  it('ends with the edge', async () => {
    const { edgeId, token } = await edgeHere();
    const device = await Device.connect(main.port, { ...v5, username: token });
    await until(() => online(edgeId));
    await main.devices.removeEdge(adminOf(world.tenants[0]), edgeId);
    await device.whenClosed();
    expect(device.disconnectReason).toBe(0x98);
    expect(await Device.refusal(main.port, { username: token })).toBe(5);
  });
});

/** What the tests of devices share: a database and a bus that are real, devices that talk MQTT, and a second tenant. */

import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuditEntry,
  type Bus,
  type BusRecord,
  type Caller,
  type DiskObjects,
  firstTime,
  firstTimes,
  openDiskObjects,
  openPostgresBus,
  type PostgresBus,
  type Relay,
  startRelay,
  writeEvent,
  writeEvents,
} from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { permissionsOf, type Topic } from '@stardipper/proto';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { generate, type Packet, parser } from 'mqtt-packet';
import { createDevices, type Devices, type DevicesDeps, devicesMigrations } from '../src';

/** Who may do everything with the tenant's boxes. */
export const adminOf = (tenantId: string): Caller => ({ tenantId, userId: tenantId, username: 'admin', roles: ['tenant-admin'] });

export const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface World {
  readonly database: TestDatabase;
  readonly bus: PostgresBus;
  readonly tenants: readonly [string, string];
  readonly areaId: string;
  readonly objects: DiskObjects;
  readonly objectsFolder: string;
  readonly audited: AuditEntry[];
  /** Everything that was appended to the bus, in the order a consumer sees it. */
  readonly seen: BusRecord[];
  /** Makes and starts devices; stopped with the world. */
  devices(options?: Partial<DevicesDeps>): Promise<{ devices: Devices; port: number; stop: () => Promise<void> }>;
  /** Resolves with the first record of the topic that matches, also an earlier one. */
  record<T extends Topic>(topic: T, match?: (record: BusRecord<T>) => boolean): Promise<BusRecord<T>>;
  close(): Promise<void>;
}

/** @param more migrations of services that are there as well */
export async function aWorld(more: readonly { service: string; folder: string }[] = []): Promise<World> {
  const database = await testDatabase([...more, { service: 'devices', folder: devicesMigrations }]);
  const bus = await openPostgresBus({ db: database.db, pollMs: 100 });
  const relay: Relay = await startRelay({ db: database.db, bus, pollMs: 100 });
  const seen: BusRecord[] = [];
  const topics: Topic[] = [
    'device.telemetry.v1',
    'device.registered.v1',
    'device.status.changed.v1',
    'device.rpc.finished.v1',
    'device.recorder.reported.v1',
    'device.software.changed.v1',
    'software.assigned.v1',
    'search.progressed.v1',
  ];
  const watching = await bus.subscribe({ group: 'test', topics, handle: async (record) => void seen.push(record) });
  const running = new Set<() => Promise<void>>();
  const secretKey = randomBytes(32);
  const areaId = randomUUID();
  const folder = await mkdtemp(join(tmpdir(), 'star-devices-objects-'));
  const objects = await openDiskObjects({ folder, secret: 's'.repeat(32), publicUrl: 'http://star.test', maxBytes: 700_000_000 });
  const audited: AuditEntry[] = [];
  return {
    objects,
    objectsFolder: folder,
    audited,
    database,
    bus,
    seen,
    areaId,
    tenants: [randomUUID(), randomUUID()],
    devices: async (options = {}) => {
      const devices = createDevices({
        db: database.db,
        bus,
        writeEvent,
        writeEvents,
        firstTime,
        firstTimes,
        log: silent,
        secretKey,
        signCrops: async (tenantId, edgeId, ids) =>
          ids.map((sightingId) => ({ sightingId, url: `http://objects.test/${tenantId}/${edgeId}/${sightingId}` })),
        holdArea: async (_tx, id) => (id === areaId ? { id, kind: 'community', path: [id] } : undefined),
        areasVisibleTo: async ({ roles }, permission) => (permissionsOf(roles).has(permission) ? 'all' : new Set()),
        objects,
        audit: async (_tx, entry) => void audited.push(entry),
        leaseMs: 1500,
        expiryEveryMs: 100,
        ...options,
        hub: { port: 0, ...options.hub },
      });
      const port = await devices.start();
      const stop = async () => {
        if (running.delete(stop)) await devices.stop();
      };
      running.add(stop);
      return { devices, port, stop };
    },
    record: async (topic, match = () => true) => {
      await until(() => seen.some((record) => record.topic === topic && match(record as never)));
      return seen.find((record) => record.topic === topic && match(record as never)) as never;
    },
    close: async () => {
      await Promise.all([...running].map((stop) => stop()));
      await watching.stop();
      await relay.stop();
      await bus.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits for something that is about to be true; the limit only ends a test that would never end. */
export async function until<T>(look: () => T | Promise<T>, limitMs = 20_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`still not so after ${limitMs} ms: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A bus whose appends can be made to fail. */
export function fallibleBus(bus: Bus): Pick<Bus, 'append'> & { failing: boolean; attempts: BusRecord[][] } {
  const self = {
    failing: false,
    attempts: [] as BusRecord[][],
    append: async (records: readonly BusRecord[]) => {
      self.attempts.push([...records]);
      if (self.failing) throw new Error('the bus is away');
      await bus.append(records);
    },
  };
  return self;
}

/** A device on mqtt.js that remembers what it was sent. */
export class Device {
  readonly messages: { topic: string; body: unknown }[] = [];
  closed = false;
  disconnectReason: number | undefined;

  constructor(readonly client: MqttClient) {
    client.on('message', (topic, payload) =>
      this.messages.push({ topic, body: /^v2\/.w\//.test(topic) ? payload : JSON.parse(payload.toString()) }),
    );
    client.on('close', () => {
      this.closed = true;
    });
    client.on('disconnect', (packet) => {
      this.disconnectReason = packet.reasonCode;
    });
  }

  static async connect(port: number, options: IClientOptions): Promise<Device> {
    const client = mqtt.connect({ host: '127.0.0.1', port, reconnectPeriod: 0, protocolVersion: 4, clientId: '', clean: true, ...options });
    const device = new Device(client);
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(new Error('closed')));
    });
    client.on('error', () => {});
    return device;
  }

  /** The code of a refused CONNECT. */
  static async refusal(port: number, options: IClientOptions): Promise<number> {
    try {
      await (await Device.connect(port, options)).end();
    } catch (error) {
      return (error as { code: number }).code;
    }
    return 0;
  }

  async subscribe(...topics: string[]): Promise<number[]> {
    const granted = await new Promise<{ qos: number }[]>((resolve, reject) =>
      this.client.subscribe(topics, { qos: 1 }, (error, _granted, packet) => {
        const codes = (packet as { granted?: number[] } | undefined)?.granted;
        if (codes) resolve(codes.map((qos) => ({ qos })));
        else reject(error);
      }),
    );
    return granted.map((each) => each.qos);
  }

  publish(topic: string, body: unknown): Promise<unknown> {
    return this.client.publishAsync(topic, typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body), { qos: 1 });
  }

  async message(topic: string | RegExp): Promise<{ topic: string; body: unknown }> {
    const fits = (each: { topic: string }) => (typeof topic === 'string' ? each.topic === topic : topic.test(each.topic));
    await until(() => this.messages.some(fits));
    return this.messages.find(fits) as { topic: string; body: unknown };
  }

  async whenClosed(): Promise<void> {
    await until(() => this.closed);
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}

/** A client that can do what no library would. */
export class RawClient {
  readonly packets: Packet[] = [];
  closed = false;
  readonly #parser = parser({ protocolVersion: 4 });

  constructor(readonly socket: Socket) {
    this.#parser.on('packet', (packet) => this.packets.push(packet));
    socket.on('data', (chunk) => this.#parser.parse(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  static async logIn(port: number, token: string): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: '', keepalive: 60, username: token });
    await client.packet('connack');
    return client;
  }

  send(...packets: Packet[]): void {
    this.socket.write(Buffer.concat(packets.map((packet) => generate(packet))));
  }

  async packet(cmd: Packet['cmd']): Promise<Packet> {
    await until(() => this.packets.some((packet) => packet.cmd === cmd));
    return this.packets.find((packet) => packet.cmd === cmd) as Packet;
  }

  count(cmd: Packet['cmd']): number {
    return this.packets.filter((packet) => packet.cmd === cmd).length;
  }

  async whenClosed(): Promise<void> {
    await until(() => this.closed);
  }
}

export interface RegisteredEdge {
  readonly edgeId: string;
  readonly token: string;
  readonly name: string;
}

/** Registers over MQTT, as a box does. */
export async function provision(
  port: number,
  key: { key: string; secret?: string },
  request: Record<string, unknown> = {},
  options: IClientOptions = {},
) {
  const device = await Device.connect(port, { username: 'provision', ...options });
  try {
    expect(await device.subscribe('/provision/response')).toEqual([1]);
    await device.publish('/provision/request', { provisionDeviceKey: key.key, provisionDeviceSecret: key.secret, ...request });
    return (await device.message('/provision/response')).body as Record<string, unknown>;
  } finally {
    await device.end();
  }
}

export async function anEdge(world: World, devices: Devices, port: number, tenantId: string = world.tenants[0]): Promise<RegisteredEdge> {
  const key = await devices.issueProvisioningKey(adminOf(tenantId), world.areaId);
  const name = `box ${randomUUID()}`;
  const answer = await provision(port, key, { deviceName: name });
  const { items } = await devices.readEdges(adminOf(tenantId), {}, { limit: 200 });
  const edgeId = items.find((edge) => edge.name === name)?.id as string;
  return { edgeId, token: answer.credentialsValue as string, name };
}

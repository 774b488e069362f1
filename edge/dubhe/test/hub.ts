import { createServer, type Server, type Socket } from 'node:net';
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';

interface Client {
  readonly socket: Socket;
  readonly version: number;
  /** Undefined for a provisioning session. */
  readonly device: string | undefined;
  readonly topics: Set<string>;
}

export interface Received {
  readonly device: string;
  readonly key: string;
  readonly ts: number;
  readonly value: unknown;
}

/** What goes wrong, changed by the tests while it runs. */
export interface Faults {
  /** Take messages but never acknowledge them. */
  noAck: boolean;
  /** Take task reports but never acknowledge them. */
  holdReports: boolean;
  /** Refuse every login, as after the credentials were revoked. */
  refuseLogin: boolean;
  /** Create the device, then close without answering. */
  loseProvisionAnswer: boolean;
  /** Close the connection on telemetry for which this is true, as ThingsBoard does on what it cannot parse. */
  closeOn: (key: string, value: unknown) => boolean;
  /** Refuse with this reason code. */
  refuseWith: (key: string, value: unknown) => number;
  /** Chance that a connection is cut before a message is handled, and after it is handled but before PUBACK. */
  cut: () => boolean;
  /** A piece of software is held back until this resolves; false: it is never sent, `cut`: the connection ends instead. */
  beforeChunk: (index: number) => Promise<boolean | 'cut'>;
  /** Said on `v2/fw/error` instead of a piece of software, and then the connection ends. */
  chunkError: string;
  /** The full answer to an attributes request is held back until this resolves. */
  beforeAttributes: () => Promise<void>;
}

/** A server of ThingsBoard's device topics on a real socket, for MQTT 3.1.1 and 5. */
export class Hub {
  readonly faults: Faults = {
    noAck: false,
    holdReports: false,
    refuseLogin: false,
    loseProvisionAnswer: false,
    closeOn: () => false,
    refuseWith: () => 0,
    cut: () => false,
    beforeChunk: async () => true,
    chunkError: '',
    beforeAttributes: async () => undefined,
  };
  readonly received: Received[] = [];
  readonly clientAttributes: Record<string, unknown> = {};
  readonly shared: Record<string, unknown> = {};
  /** What is assigned, as bytes. */
  software: Buffer = Buffer.alloc(0);
  readonly chunksAsked: number[] = [];
  readonly devices = new Map<string, string>();
  readonly loginsRefused: string[] = [];
  provisionRequests = 0;
  /** Answers client-side RPC. */
  methods: Record<string, (params: unknown) => unknown> = {};
  private readonly clients = new Set<Client>();
  private readonly sockets = new Set<Socket>();
  private readonly commands = new Map<string, (reply: unknown) => void>();
  private server: Server | undefined;
  private port = 0;
  private nextId = 1;

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** On the port it had before, when it was stopped. */
  async start(): Promise<this> {
    this.server = createServer({ noDelay: true }, (socket) => this.serve(socket));
    await new Promise<void>((resolve, reject) => this.server?.once('error', reject).listen(this.port, '127.0.0.1', resolve));
    const address = this.server.address();
    if (address && typeof address === 'object') this.port = address.port;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.server;
    if (!server) return;
    this.server = undefined;
    this.cutAll();
    await new Promise((resolve) => server.close(resolve));
  }

  cutAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  isOnline(device: string): boolean {
    return [...this.clients].some((client) => client.device === device && client.topics.has('v1/devices/me/rpc/request/+'));
  }

  valuesOf(key: string): unknown[] {
    return this.received.filter((one) => one.key === key).map((one) => one.value);
  }

  /** Sends a command and resolves with the box's reply. */
  call(device: string, method: string, params: unknown): Promise<unknown> {
    return this.callRaw(device, JSON.stringify({ method, params }));
  }

  callRaw(device: string, payload: string): Promise<unknown> {
    const id = String(this.nextId++);
    const client = [...this.clients].find((one) => one.device === device);
    if (!client) throw new Error(`${device} is not connected`);
    return new Promise((resolve) => {
      this.commands.set(id, resolve);
      this.send(client, `v1/devices/me/rpc/request/${id}`, payload);
    });
  }

  setShared(values: Record<string, unknown>, deleted: string[] = []): void {
    Object.assign(this.shared, values);
    for (const key of deleted) delete this.shared[key];
    const update = { ...values, ...(deleted.length > 0 ? { deleted } : {}) };
    for (const client of this.clients)
      if (client.topics.has('v1/devices/me/attributes')) this.send(client, 'v1/devices/me/attributes', JSON.stringify(update));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    const parse = parser();
    let client: Client | undefined;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.sockets.delete(socket);
      if (client) this.clients.delete(client);
    });
    socket.on('data', (data) => {
      if (!socket.destroyed) parse.parse(data);
    });
    parse.on('error', () => socket.destroy());
    parse.on('packet', (packet: Packet) => {
      if (socket.destroyed) return;
      if (packet.cmd === 'connect') client = this.login(socket, packet.protocolVersion ?? 4, packet.username ?? '');
      else if (client) this.handle(client, packet);
    });
  }

  private login(socket: Socket, version: number, username: string): Client | undefined {
    const device = this.devices.get(username);
    const allowed = username === 'provision' || (device !== undefined && !this.faults.refuseLogin);
    const connack: IConnackPacket = {
      cmd: 'connack',
      sessionPresent: false,
      ...(version === 5 ? { reasonCode: allowed ? 0 : 0x86 } : { returnCode: allowed ? 0 : 5 }),
    };
    const bytes = generate(connack, { protocolVersion: version });
    if (!allowed) {
      this.loginsRefused.push(username);
      socket.end(bytes);
      return undefined;
    }
    socket.write(bytes);
    const client = { socket, version, device, topics: new Set<string>() };
    this.clients.add(client);
    return client;
  }

  private handle(client: Client, packet: Packet): void {
    const { socket, version } = client;
    const write = (answer: Packet) => socket.write(generate(answer, { protocolVersion: version }));
    if (packet.cmd === 'pingreq') write({ cmd: 'pingresp' });
    if (packet.cmd === 'disconnect') socket.end();
    if (packet.cmd === 'subscribe') {
      for (const { topic } of packet.subscriptions) client.topics.add(topic);
      write({ cmd: 'suback', messageId: packet.messageId, granted: packet.subscriptions.map(() => 1) });
    }
    if (packet.cmd !== 'publish') return;
    if (this.faults.cut()) return void socket.destroy();
    const chunk = /^v2\/sw\/request\/(\d+)\/chunk\/(\d+)$/.exec(packet.topic);
    if (chunk) return void this.serveChunk(client, chunk[1] as string, Number(chunk[2]), Number(packet.payload.toString()));
    const reasonCode = this.take(client, packet);
    if (reasonCode === undefined || this.faults.cut()) return void socket.destroy();
    const held = this.faults.noAck || (this.faults.holdReports && packet.payload.includes('"taskReport"'));
    if (!held) write({ cmd: 'puback', messageId: packet.messageId, ...(version === 5 ? { reasonCode } : {}) });
  }

  /** The reason code of its PUBACK, or undefined to close the connection. */
  private take(client: Client, packet: IPublishPacket): number | undefined {
    const body: unknown = JSON.parse(packet.payload.toString());
    const last = packet.topic.slice(packet.topic.lastIndexOf('/') + 1);
    if (packet.topic === '/provision/request') return this.provision(client, body as Record<string, string>);
    if (packet.topic.startsWith('v1/devices/me/rpc/response/')) this.commands.get(last)?.(body);
    if (packet.topic === 'v1/devices/me/attributes') Object.assign(this.clientAttributes, body);
    if (packet.topic.startsWith('v1/devices/me/attributes/request/')) {
      const snapshot = JSON.stringify(Object.keys(this.shared).length > 0 ? { shared: this.shared } : {});
      void this.faults.beforeAttributes().then(() => this.send(client, `v1/devices/me/attributes/response/${last}`, snapshot));
    }
    if (packet.topic.startsWith('v1/devices/me/rpc/request/')) {
      const { method, params } = body as { method: string; params: unknown };
      const answer = this.methods[method]?.(params) ?? { error: 'unknown method' };
      this.send(client, `v1/devices/me/rpc/response/${last}`, JSON.stringify(answer));
    }
    if (packet.topic === 'v1/devices/me/telemetry')
      return this.takeTelemetry(client, body as { ts: number; values: Record<string, unknown> });
    return 0;
  }

  private takeTelemetry(client: Client, { ts, values }: { ts: number; values: Record<string, unknown> }): number | undefined {
    for (const [key, value] of Object.entries(values)) {
      if (this.faults.closeOn(key, value)) return undefined;
      const refused = this.faults.refuseWith(key, value);
      if (refused > 0) return refused;
      this.received.push({ device: client.device ?? '', key, ts, value });
    }
    return 0;
  }

  private async serveChunk(client: Client, id: string, index: number, bytes: number): Promise<void> {
    this.chunksAsked.push(index);
    const now = await this.faults.beforeChunk(index);
    if (now === 'cut') return void client.socket.destroy();
    if (!now) return;
    if (this.faults.chunkError !== '') {
      this.send(client, 'v2/fw/error', this.faults.chunkError, 0);
      return void client.socket.end();
    }
    this.send(client, `v2/sw/response/${id}/chunk/${index}`, this.software.subarray(index * bytes, (index + 1) * bytes), 0);
  }

  private provision(client: Client, request: Record<string, string>): number | undefined {
    this.provisionRequests++;
    const answer = (value: unknown) => this.send(client, '/provision/response', JSON.stringify(value));
    if (request.provisionDeviceKey !== 'key' || request.provisionDeviceSecret !== 'secret') {
      answer({ status: 'NOT_FOUND', errorMsg: 'Provision data was not found!' });
    } else if ([...this.devices.values()].includes(request.deviceName ?? '')) {
      answer({ status: 'FAILURE', errorMsg: 'Failed to provision device!' });
    } else {
      const token = request.token ?? `token-${this.nextId++}`;
      this.devices.set(token, request.deviceName ?? '');
      if (this.faults.loseProvisionAnswer) return undefined;
      answer({ status: 'SUCCESS', credentialsType: 'ACCESS_TOKEN', credentialsValue: token });
    }
    return 0;
  }

  private send(client: Client, topic: string, payload: string | Buffer, qos: 0 | 1 = 1): void {
    if (client.socket.destroyed) return;
    const packet: IPublishPacket = {
      cmd: 'publish',
      topic,
      payload,
      qos,
      ...(qos === 1 ? { messageId: (this.nextId++ % 65_535) + 1 } : {}),
      dup: false,
      retain: false,
    };
    client.socket.write(generate(packet, { protocolVersion: client.version }));
  }
}

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, agentSocket, callStreaming, serveGrpc, unary } from '@dipper/platform';
import { agent, type dubhe } from '@stardipper/proto';
import { buildDubhe, DubheProcess, eventually, newDataDir } from './dubhe-process';
import { Hub } from './hub';

let hub: Hub;
let box: DubheProcess;
const closing: (() => void)[] = [];

beforeAll(buildDubhe, 120_000);
beforeEach(async () => {
  hub = await new Hub().start();
  box = new DubheProcess(newDataDir(), { STAR_MQTT_URL: hub.url });
});
afterEach(async () => {
  await box.remove();
  await hub.stop();
  for (const close of closing.splice(0)) close();
});

const online = () => eventually('the box is online', () => hub.isOnline('box-1'));
const healthCode = (code: string) => eventually(`health says ${code}`, async () => ((await box.health()).code === code ? code : undefined));

describe('provisioning', () => {
  it('asks once, keeps the token for itself, and logs in with it after a restart', async () => {
    await box.start();
    await online();
    expect(hub.provisionRequests).toBe(1);
    expect(statSync(join(box.dataDir, 'dubhe', 'credentials.json')).mode & 0o777).toBe(0o600);
    expect(statSync(join(box.dataDir, 'dubhe')).mode & 0o777).toBe(0o700);
    await healthCode('');
    await box.end('SIGKILL');
    await eventually('offline', () => !hub.isOnline('box-1'));
    await box.start();
    await online();
    expect(hub.provisionRequests).toBe(1);
  });

  it('takes the account that was made when the answer got lost', async () => {
    hub.faults.loseProvisionAnswer = true;
    await box.start();
    await online();
    expect(hub.devices.size).toBe(1);
    expect(hub.provisionRequests).toBe(1);
  });

  it('is killed between asking and hearing the answer, and is still one device', async () => {
    hub.faults.loseProvisionAnswer = true;
    await box.start();
    await eventually('asked', () => hub.provisionRequests === 1);
    await box.end('SIGKILL');
    hub.faults.loseProvisionAnswer = false;
    await box.start();
    await online();
    expect([...hub.devices.values()]).toEqual(['box-1']);
  });

  it('says that the key is refused, or the name taken, and asks again slowly', async () => {
    await box.remove();
    box = await new DubheProcess(newDataDir(), { STAR_MQTT_URL: hub.url, PROVISION_SECRET: 'wrong' }).start();
    await healthCode('provision.refused');
    expect((await box.health()).state).toBe(agent.HealthState.HEALTH_STATE_FAILED);
    await box.end();
    hub.devices.set('of-another-box', 'box-1');
    const other = new DubheProcess(box.dataDir, { STAR_MQTT_URL: hub.url });
    await other.start();
    await eventually('name taken', async () => (await other.health()).code === 'provision.name_taken');
    hub.devices.clear();
    await online();
    expect((await other.health()).code).toBe('');
    await other.remove();
  });

  it('says that its token was revoked, spools meanwhile, and comes back when it is valid again', async () => {
    await box.start();
    await online();
    hub.faults.refuseLogin = true;
    hub.cutAll();
    await healthCode('star.credentials_refused');
    await box.submit([{ id: 'kept:1', bodyJson: '{"n":1}' }]);
    hub.faults.refuseLogin = false;
    await eventually('the report arrives', () => hub.valuesOf('taskReport').length === 1);
    expect(hub.provisionRequests).toBe(1);
  });

  it('runs without any address of Star', async () => {
    await box.remove();
    box = await new DubheProcess(newDataDir(), {}).start();
    await healthCode('star.not_configured');
    await box.submit([{ id: 'kept:1' }]);
    expect((await box.stats()).reports_pending).toBe(1);
  });
});

describe('commands', () => {
  /** Merak as Dubhe sees it. */
  const serveMerak = async (handle: (request: agent.HandleCommandRequest) => unknown) => {
    const server = await serveGrpc(agentSocket(box.dataDir, 'merak'), [
      [
        agent.CommandServiceService,
        { handleCommand: unary(async (request: agent.HandleCommandRequest) => ({ replyJson: JSON.stringify(await handle(request)) })) },
      ],
    ]);
    closing.push(() => server.forceShutdown());
    return server;
  };

  it('are carried to their owner, and its words back', async () => {
    await box.start();
    await serveMerak(({ method, paramsJson, expiresAtMs }) => {
      if (method === 'cancelTask') throw new AgentError('task.not_found', 'not_found', { taskId: 'x' });
      return { accepted: true, method, params: JSON.parse(paramsJson), expires: expiresAtMs > Date.now() };
    });
    await online();
    expect(await hub.call('box-1', 'createTask', { taskId: 't1' })).toEqual({
      accepted: true,
      method: 'createTask',
      params: { taskId: 't1' },
      expires: true,
    });
    expect(await hub.call('box-1', 'cancelTask', {})).toEqual({ error: { code: 'task.not_found', params: { taskId: 'x' } } });
    // As after a weekend without a line: all that was asked meanwhile arrives at once.
    const many = await Promise.all(Array.from({ length: 300 }, (_, n) => hub.call('box-1', 'createTask', { n })));
    expect(many).toEqual(Array.from({ length: 300 }, (_, n) => expect.objectContaining({ params: { n } })));
  });

  it('wait for Merak while it restarts', async () => {
    await box.start();
    const first = await serveMerak(() => ({ accepted: true, by: 'first' }));
    await online();
    expect(await hub.call('box-1', 'createTask', {})).toMatchObject({ by: 'first' });
    first.forceShutdown();
    const reply = hub.call('box-1', 'createTask', {});
    await new Promise((resolve) => setTimeout(resolve, 700));
    await serveMerak(() => ({ accepted: true, by: 'second' }));
    expect(await reply).toMatchObject({ by: 'second' });
  });

  it('are refused when nobody comes, and when they make no sense', async () => {
    await box.remove();
    box = await new DubheProcess(newDataDir(), { STAR_MQTT_URL: hub.url, DUBHE_COMMAND_MS: '500' }).start();
    await online();
    const codeOf = async (reply: Promise<unknown>) => ((await reply) as { error: { code: string } }).error.code;
    expect(await codeOf(hub.call('box-1', 'createTask', {}))).toBe('agent.unavailable');
    expect(await codeOf(hub.call('box-1', 'formatDisk', {}))).toBe('command.unknown_method');
    expect(await codeOf(hub.call('box-1', 'constructor', {}))).toBe('command.unknown_method');
    for (const payload of ['{"method"', '[]', 'null', '{"method":7}', '"createTask"', '']) {
      expect(await codeOf(hub.callRaw('box-1', payload))).toBe('command.malformed');
    }
    const deep = `{"method":"createTask","params":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    expect(await codeOf(hub.callRaw('box-1', deep))).toBe('command.malformed');
    expect((await box.stats()).sessions_opened).toBe(1);
  });
});

describe('configuration', () => {
  const watch = (process: DubheProcess) => {
    const states: dubhe.WatchConfigResponse[] = [];
    const stop = new AbortController();
    const read = async () => {
      try {
        for await (const state of callStreaming(process.reports, process.reports.watchConfig, {}, { signal: stop.signal }))
          states.push(state);
      } catch {
        // Ends with the process or with the test.
      }
    };
    void read();
    closing.push(() => stop.abort());
    return states;
  };

  it('follows Star, survives restarts and absence, and notices what changed meanwhile', async () => {
    hub.shared['recorder.a'] = { id: 'a', password: 'p' };
    await box.start();
    const states = watch(box);
    await eventually('the first recorder', () => states.at(-1)?.attributes['recorder.a']);
    hub.setShared({ 'recorder.b': { id: 'b' } });
    await eventually('the second', () => states.at(-1)?.attributes['recorder.b'] === '{"id":"b"}');
    hub.setShared({ 'recorder.c': 1 }, ['recorder.a']);
    const both = await eventually('one gone and one come', () => states.find((state) => 'recorder.c' in state.attributes));
    expect(Object.keys(both.attributes).sort()).toEqual(['recorder.b', 'recorder.c']);
    expect(states.map((state) => state.revision)).toEqual([...states.map((state) => state.revision)].sort((a, b) => a - b));

    await hub.stop();
    await box.end('SIGKILL');
    await box.start();
    const offline = watch(box);
    const state = await eventually('the state without Star', () => offline[0]);
    expect(state.attributes).toEqual(both.attributes);
    expect(state.revision).toBeGreaterThanOrEqual(both.revision);

    delete hub.shared['recorder.b'];
    hub.shared['recorder.d'] = true;
    await hub.start();
    await eventually('what changed meanwhile', () => offline.at(-1)?.attributes['recorder.d'] === 'true');
    expect(offline.at(-1)?.attributes).toEqual({ 'recorder.c': '1', 'recorder.d': 'true' });
  });

  it('does not lose an update to a full answer that is older', async () => {
    let release: (() => void) | undefined;
    hub.shared.old = 1;
    hub.faults.beforeAttributes = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    await box.start();
    await online();
    const states = watch(box);
    await eventually('asked', () => release);
    hub.setShared({ fresh: 2 }, ['old']);
    await eventually('the update', () => states.at(-1)?.attributes.fresh);
    release?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(states.at(-1)?.attributes).toEqual({ fresh: '2' });
  });
});

describe('health', () => {
  it('of all four agents reaches Star with what the box runs', async () => {
    await box.start();
    const report = await eventually('a health report', () => hub.valuesOf('healthReport')[0]);
    expect(report).toMatchObject({
      agents: { dubhe: { state: 'ok', stats: { session_open: 1 } }, merak: { state: 'down', code: 'agent.unavailable' } },
    });
    await eventually('client attributes', () => hub.clientAttributes.dipperVersion);
  });
});

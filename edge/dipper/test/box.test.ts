import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentName, agentNames } from '@dipper/platform';
import { pino } from 'pino';
import { readConfig, startBox, superviseBox } from '../src';
import { RotatingLog } from '../src/rotating-log';

const root = join(__dirname, '..', '..', '..');
const main = join(root, 'edge', 'dipper', 'dist', 'main.js');
const log = pino({ level: 'silent' });
let dataDir: string;
const children: ChildProcess[] = [];

/** The processes run what is compiled; an unchanged build takes seconds. */
beforeAll(() => {
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-b', join(root, 'edge', 'dipper')], { stdio: ['ignore', 'ignore', 'inherit'] });
}, 240_000);
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'box-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

async function eventually<T>(what: string, read: () => T | undefined | false, withinMs = 60_000): Promise<T> {
  for (const until = Date.now() + withinMs; ; ) {
    const value = read();
    if (value !== undefined && value !== false) return value as T;
    if (Date.now() > until) throw new Error(`Did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Also false for one that ended but whose parent has not noticed. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** `dipper run` in a process of its own, once it has said that it is ready. */
async function dipperRun(...args: string[]): Promise<{ child: ChildProcess; pids: Record<AgentName, number> }> {
  const child = spawn(process.execPath, [main, 'run', '--data', dataDir, '--json', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  let output = '';
  child.stdout?.on('data', (text) => {
    output += text;
  });
  const line = await eventually('dipper is ready', () => output.split('\n')[0] || undefined, 60_000);
  const ready = JSON.parse(line) as { type: string; pids: Record<AgentName, number> };
  expect(ready.type).toBe('ready');
  return { child, pids: ready.pids };
}

const dipper = (...args: string[]) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

describe('the supervisor', () => {
  it('starts the four agents, restarts each that is killed, and ends them all', async () => {
    const box = await startBox({ dataDir, settings: { LOG_LEVEL: 'info' }, log });
    const before = box.pids();
    // An agent's word that it is ready may overtake the first line of its log.
    const logOf = (name: AgentName) => join(dataDir, 'logs', `${name}.log`);
    const timesReady = (name: AgentName) => (existsSync(logOf(name)) ? readFileSync(logOf(name), 'utf8').split('"ready"').length - 1 : 0);
    // Killed before its first words are written, an agent would have said them once in all.
    await eventually('each has said so', () => agentNames.every((name) => timesReady(name) === 1));
    for (const name of agentNames) {
      expect(isAlive(before[name])).toBe(true);
      process.kill(before[name], 'SIGKILL');
    }
    const after = await eventually('all are back', () => {
      const pids = box.pids();
      return agentNames.every((name) => pids[name] > 0 && pids[name] !== before[name]) && pids;
    });
    expect(box.restarts()).toEqual({ dubhe: 1, alioth: 1, mizar: 1, merak: 1 });
    await eventually('they serve', () => agentNames.every((name) => timesReady(name) === 2));
    await box.stop();
    expect(agentNames.filter((name) => isAlive(after[name]))).toEqual([]);
    expect(box.pids()).toEqual({ dubhe: 0, alioth: 0, mizar: 0, merak: 0 });
    expect(readFileSync(join(dataDir, 'logs', 'merak.log'), 'utf8')).toContain('"name":"merak"');
  });

  it('keeps the provisioning secret from the agents that do not need it', async () => {
    const box = await startBox({ dataDir, settings: { PROVISION_SECRET: 'hush', PROVISION_KEY: 'key' }, log });
    const environment = (name: AgentName) => readFileSync(`/proc/${box.pids()[name]}/environ`, 'utf8');
    const knowing = agentNames.filter((name) => environment(name).includes('hush'));
    await box.stop();
    expect(knowing).toEqual(['dubhe']);
  });

  it('says that a box cannot be started, leaving nothing behind, when an agent never gets ready', async () => {
    const broken = join(dataDir, 'broken.js');
    writeFileSync(broken, 'throw new Error("cannot start");');
    const starting = startBox({ dataDir, settings: {}, log, entries: { mizar: broken }, readyTimeoutMs: 2500 });
    await expect(starting).rejects.toMatchObject({ code: 'box.not_ready' });
    expect(readFileSync(join(dataDir, 'logs', 'mizar.log'), 'utf8')).toContain('cannot start');
    expect(existsSync(join(dataDir, 'run', 'dipper.pid'))).toBe(false);
  });

  it('ends an orphan that hangs, so that two never write one database', async () => {
    // An agent that took its lock and then hears of nothing, as one stuck in native code.
    const stuck = join(dataDir, 'stuck.js');
    const platform = JSON.stringify(join(root, 'edge', 'platform', 'dist'));
    writeFileSync(
      stuck,
      `require(${platform}).lockAgent(${JSON.stringify(dataDir)}, 'merak', 0).then(() => { console.log('held'); for (;;); }); process.on('SIGTERM', () => {});`,
    );
    const orphan = spawn(process.execPath, [stuck], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(orphan);
    await new Promise((resolve) => orphan.stdout?.once('data', resolve));
    const box = await startBox({ dataDir, settings: {}, log });
    expect(isAlive(orphan.pid ?? 0)).toBe(false);
    await expect(superviseBox({ dataDir, settings: {}, log })).rejects.toMatchObject({ code: 'agent.already_running' });
    await box.stop();
  });
});

describe('dipper', () => {
  it('runs, tells its status, and takes its agents with it when it is killed', async () => {
    const first = await dipperRun();
    const status = await dipper('status', '--data', dataDir, '--json');
    const { agents } = JSON.parse(status.stdout) as {
      agents: { agent: AgentName; state: string; code: string; pid: number; stats: Record<string, number> }[];
    };
    expect(Object.fromEntries(agents.map((one) => [one.agent, one.pid]))).toEqual(first.pids);
    expect(agents.find((one) => one.agent === 'dubhe')).toMatchObject({
      state: 'failed',
      code: 'star.not_configured',
      stats: { reports_pending: 0 },
    });
    expect(status.status).toBe(1);
    const table = await dipper('status', '--data', dataDir);
    expect(table.stdout).toMatch(/^AGENT +STATE +PID +UP +CODE\ndubhe +failed +\d+ /);

    const second = await dipper('run', '--data', dataDir);
    expect(second).toMatchObject({ status: 1, stderr: expect.stringContaining('agent.already_running') });

    first.child.kill('SIGKILL');
    await eventually('the agents end by themselves', () => agentNames.every((name) => !isAlive(first.pids[name])));
    expect((await dipper('status', '--data', dataDir)).stdout).toMatch(/merak +down/);

    // Killed and started at once: the new agents wait for the old ones, which are still ending.
    const again = await dipperRun();
    again.child.kill('SIGKILL');
    const third = await dipperRun();
    expect(agentNames.filter((name) => isAlive(again.pids[name]))).toEqual([]);
    const exited = new Promise((resolve) => third.child.once('exit', (code) => resolve(code)));
    third.child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(agentNames.filter((name) => isAlive(third.pids[name]))).toEqual([]);
  });

  it('refuses a settings file it does not understand, and says where', async () => {
    const file = join(dataDir, 'box.json');
    const bad: [string, string, string][] = [
      ['{', 'config.malformed', ''],
      ['[]', 'config.invalid', ''],
      ['{"starMqttUrl":"http://star"}', 'config.invalid', '/starMqttUrl'],
      ['{"startMqttUrl":"mqtt://star"}', 'config.invalid', 'startMqttUrl'],
      ['{"threads":"2"}', 'config.invalid', '/threads'],
    ];
    for (const [text, code, place] of bad) {
      writeFileSync(file, text);
      const { status, stderr } = await dipper('run', '--data', dataDir, '--config', file);
      expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining(code) });
      expect(stderr).toContain(place);
    }
    expect((await dipper('run', '--data', dataDir, '--config', join(dataDir, 'none.json'))).stderr).toContain('config.unreadable');
    expect((await dipper('version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    writeFileSync(file, JSON.stringify({ name: 'north gate', starMqttUrl: 'mqtt://127.0.0.1:1883', pack: 'packs/a', threads: 2 }));
    expect(readConfig(file)).toEqual({
      DEVICE_NAME: 'north gate',
      STAR_MQTT_URL: 'mqtt://127.0.0.1:1883',
      MIZAR_PACK: join(dataDir, 'packs', 'a'),
      MIZAR_THREADS: '2',
    });
  });
});

describe('logs', () => {
  it('take no more of the disk than they may, and keep the newest', () => {
    const path = join(dataDir, 'logs', 'x.log');
    const file = new RotatingLog(path, 1000, 2);
    for (let n = 0; n < 200; n++) file.write(`line ${n} ${'x'.repeat(40)}`);
    file.close();
    const sizes = [path, `${path}.1`, `${path}.2`].map((one) => statSync(one).size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
    expect(existsSync(`${path}.3`)).toBe(false);
    expect(readFileSync(path, 'utf8')).toContain('line 199');
    const again = new RotatingLog(path, 1000, 2);
    again.write('after a restart');
    again.close();
    expect(readFileSync(path, 'utf8')).toContain('line 199');
    expect(file.lost + again.lost).toBe(0);
  });

  it('do not stop anything when they cannot be written', () => {
    const path = join(dataDir, 'logs', 'y.log');
    mkdirSync(path, { recursive: true });
    const file = new RotatingLog(path);
    file.write('nobody reads this');
    expect(file.lost).toBe(1);
    file.close();
  });
});

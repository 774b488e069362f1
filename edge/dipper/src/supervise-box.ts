import { mkdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { AgentError, type AgentName, agentNames, lockAgent } from '@dipper/platform';
import type { Logger } from 'pino';
import { AgentProcess } from './agent-process';

export interface BoxOptions {
  /** Everything the box keeps; made when it is not there. */
  readonly dataDir: string;
  /** The agents' settings (STAR_MQTT_URL, MIZAR_PACK, …) and whatever of the environment they need. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Other programs in place of the agents, for tests. */
  readonly entries?: Partial<Readonly<Record<AgentName, string>>>;
  readonly readyTimeoutMs?: number;
}

export interface Box {
  /** Of each agent's process now; 0 while it is being started again. */
  pids(): Record<AgentName, number>;
  /** Restarts since the box was started. */
  restarts(): Record<AgentName, number>;
  /** Resolves when every agent has been ready once; never rejects. */
  readonly ready: Promise<void>;
  /** Ends all agents: within 8 s, by force if need be. */
  stop(): Promise<void>;
}

/** Dubhe first, so that the others find it; the order does not matter for correctness. */
const entryOf = (name: AgentName): string => require.resolve(`@dipper/${name}/dist/main.js`);

/** Only Dubhe asks Star for an account. */
const dubheOnly = ['PROVISION_KEY', 'PROVISION_SECRET'];
/** What Dubhe runs with a pack that Star has sent. */
const ownProgram = join(__dirname, 'main.js');

/**
 * Starts the four agents and keeps them running. Throws agent.already_running when another supervisor has this
 * data folder. When this process dies, however it does, the agents end.
 */
export async function superviseBox({ dataDir: given, settings, log, entries }: BoxOptions): Promise<Box> {
  mkdirSync(given, { recursive: true, mode: 0o700 });
  // The agents' sockets are derived from it, and they are asked from other folders.
  const dataDir = resolve(given);
  const unlock = await lockAgent(dataDir, 'dipper', 0);
  const waitingFor = new Set<AgentName>(agentNames);
  let allReady: () => void = () => undefined;
  const ready = new Promise<void>((done) => {
    allReady = done;
  });
  const onReady = (name: AgentName) => {
    waitingFor.delete(name);
    if (waitingFor.size === 0) allReady();
  };
  const start = (name: AgentName) =>
    new AgentProcess({ name, entry: entries?.[name] ?? entryOf(name), dataDir, env: environmentOf(name, dataDir, settings), log, onReady });
  let processes: AgentProcess[];
  try {
    processes = agentNames.map(start);
  } catch (error) {
    unlock();
    throw error;
  }
  const running = processes.map((process) => process.run());
  const ofEach = (read: (process: AgentProcess) => number) =>
    Object.fromEntries(agentNames.map((name, index) => [name, read(processes[index] as AgentProcess)])) as Record<AgentName, number>;
  let stopped: Promise<void> | undefined;
  return {
    pids: () => ofEach((process) => process.pid),
    restarts: () => ofEach((process) => process.restarts),
    ready,
    stop: () => {
      stopped ??= Promise.all([...processes.map((process) => process.stop()), ...running]).then(unlock);
      return stopped;
    },
  };
}

/** `superviseBox`, waiting until every agent is ready. Throws box.not_ready after two minutes, with nothing left running. */
export async function startBox(options: BoxOptions): Promise<Box> {
  const box = await superviseBox(options);
  const timeoutMs = options.readyTimeoutMs ?? 120_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((done) => {
    timer = setTimeout(() => done('late'), timeoutMs);
  });
  const first = await Promise.race([box.ready, late]);
  clearTimeout(timer);
  if (first !== 'late') return box;
  const restarts = box.restarts();
  await box.stop();
  throw new AgentError('box.not_ready', 'timeout', { restarts });
}

/** What a caller may leave out is what any program needs: the tools of the system and this Node. */
function environmentOf(name: AgentName, dataDir: string, settings: BoxOptions['settings']): Record<string, string | undefined> {
  const system = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  const env: Record<string, string | undefined> = {
    PATH: [dirname(process.execPath), ...system].join(delimiter),
    HOME: homedir(),
    TMPDIR: tmpdir(),
    ...settings,
  };
  if (name === 'dubhe')
    env.DUBHE_INSTALL_PACK ??= JSON.stringify([process.execPath, ownProgram, 'models', 'add', '--use', '--data', dataDir]);
  else for (const key of dubheOnly) delete env[key];
  return env;
}

import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { agent } from '@stardipper/proto';
import { type Logger, pino } from 'pino';
import { AgentError } from './agent-error';
import { lockAgent } from './agent-lock';
import { agentSocket, serveGrpc, unary } from './grpc';

export interface AgentContext {
  readonly name: AgentName;
  /** The box's data folder; the agent keeps to `<dataDir>/<name>/`. */
  readonly dataDir: string;
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Aborts when the process must end. */
  readonly signal: AbortSignal;
}

export const agentNames = ['dubhe', 'alioth', 'mizar', 'merak'] as const;
export type AgentName = (typeof agentNames)[number];

export interface RunningAgent {
  readonly services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[];
  /** Commands by RPC method; a handler gets parsed JSON and answers what becomes the reply. Throws AgentError to refuse. */
  readonly commands?: Readonly<Record<string, (params: unknown, expiresAtMs: number) => Promise<unknown> | unknown>>;
  readonly stats: () => Readonly<Record<string, number>>;
  readonly health?: () => { state: agent.HealthState; code: string; detail: string };
  readonly stop: () => Promise<void>;
}

const stopWithinMs = 5000;
/** One that lost its supervisor ends within stopWithinMs. */
const lockWithinMs = stopWithinMs + 3000;

/**
 * The life of one agent process: start, serve on its socket, say READY to the supervisor, end cleanly on
 * SIGTERM or when the supervisor is gone (its IPC channel closes, also when it was killed).
 */
export async function runAgent(
  name: AgentName,
  start: (context: AgentContext) => Promise<RunningAgent>,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const log = pino({ name, level: env.LOG_LEVEL ?? 'info', base: { name, pid: process.pid } });
  const dataDir = env.DIPPER_DATA;
  if (!dataDir) throw new Error('DIPPER_DATA is not set');
  const abort = new AbortController();
  const startedAt = Date.now();
  // Before anything slow: a supervisor that is gone while we start is not announced a second time.
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    process.once('disconnect', () => resolve());
  });
  void ended.then(() => {
    abort.abort();
    setTimeout(() => process.exit(1), stopWithinMs);
  });
  const unlock = await lockAgent(dataDir, name, lockWithinMs);
  const running = await start({ name, dataDir, settings: env, log, signal: abort.signal });
  const commands = running.commands ?? {};
  const server = await serveGrpc(agentSocket(dataDir, name), [
    ...running.services,
    [
      agent.AgentServiceService,
      {
        getHealth: unary((): agent.GetHealthResponse => {
          const health = running.health?.() ?? { state: agent.HealthState.HEALTH_STATE_OK, code: '', detail: '' };
          return { ...health, startedAtMs: startedAt, pid: process.pid };
        }),
        getStats: unary((): agent.GetStatsResponse => ({ values: { ...running.stats() } })),
      },
    ],
    [
      agent.CommandServiceService,
      {
        handleCommand: unary(async (request: agent.HandleCommandRequest): Promise<agent.HandleCommandResponse> => {
          const reply = await answerCommand(commands, request);
          return { replyJson: JSON.stringify(reply) };
        }),
      },
    ],
  ]);
  process.send?.({ type: 'ready', name, socket: agentSocket(dataDir, name) });
  log.info({ socket: agentSocket(dataDir, name) }, 'ready');
  await ended;
  server.forceShutdown();
  await running.stop();
  unlock();
  process.exit(0);
}

async function answerCommand(commands: NonNullable<RunningAgent['commands']>, request: agent.HandleCommandRequest): Promise<unknown> {
  const handle = commands[request.method];
  if (!handle) return { error: { code: 'command.unknown_method', params: { method: request.method } } };
  if (request.expiresAtMs > 0 && request.expiresAtMs <= Date.now())
    return { error: { code: 'command.expired', params: { expiresAt: request.expiresAtMs } } };
  try {
    return await handle(JSON.parse(request.paramsJson), request.expiresAtMs);
  } catch (error) {
    if (error instanceof SyntaxError) return { error: { code: 'command.malformed', params: {} } };
    if (error instanceof AgentError) return { error: { code: error.code, params: error.params } };
    throw error;
  }
}

/**
 * How Node is started for an agent. One that only coordinates keeps little, but V8 lets its heap grow to what the
 * machine would bear: over a task of a million segments Merak took 235 MB more without these limits and 45 MB with them,
 * at the same speed. Mizar's memory is ONNX's and frames; it is left alone.
 */
export const nodeFlags = (agent: AgentName): string[] => (agent === 'mizar' ? [] : ['--max-old-space-size=256', '--max-semi-space-size=1']);

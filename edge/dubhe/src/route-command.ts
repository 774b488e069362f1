import { AgentError, type AgentName, agentSocket, type Clock, callUnary, dial } from '@dipper/platform';
import { agent, type CommandMethod, commandOwners, maxPayloadBytes } from '@stardipper/proto';
import { z } from 'zod';

const maxAtOnce = 64;
/** A box that was away for days finds all that was asked meanwhile; what is over this is answered as busy. */
const maxWaiting = 1000;
const attemptMs = 5_000;

const commandSchema = z.object({ method: z.string().min(1).max(64), params: z.unknown().optional() });
const isOwned = (method: string): method is CommandMethod => Object.hasOwn(commandOwners, method);
const refusal = (code: string, params: Readonly<Record<string, unknown>> = {}) => JSON.stringify({ error: { code, params } });

/** Undefined for what is no command; also for parameters nested so deep that they cannot be written again. */
function readCommand(payload: Buffer): { method: string; paramsJson: string } | undefined {
  try {
    const { method, params } = commandSchema.parse(JSON.parse(payload.toString('utf8')));
    return { method, paramsJson: JSON.stringify(params ?? {}) };
  } catch {
    return undefined;
  }
}

export interface RouterOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** From Star's call to our last word on it; also how long an agent may take to come back. */
  readonly commandMs: number;
}

/** Carries Star's commands to the agents that own them. Dubhe does not look into the parameters. */
export class CommandRouter {
  private readonly clients = new Map<AgentName, agent.CommandServiceClient>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;
  private handled = 0;
  private failed = 0;

  constructor(private readonly options: RouterOptions) {}

  /** The reply as JSON text: the owner's, or `{"error":{"code","params"}}`. Never throws. */
  async answer(payload: Buffer): Promise<string> {
    const command = readCommand(payload);
    if (!command) return refusal('command.malformed');
    const { method, paramsJson } = command;
    if (!isOwned(method)) return refusal('command.unknown_method', { method });
    if (this.waiting.length >= maxWaiting) return refusal('command.busy');
    await this.turn();
    try {
      const reply = await this.carry(commandOwners[method], method, paramsJson);
      this.handled++;
      return Buffer.byteLength(reply) > maxPayloadBytes - 128 ? refusal('command.reply_too_large', { method }) : reply;
    } catch (error) {
      this.failed++;
      const known = error instanceof AgentError ? error : new AgentError('internal', 'internal', {}, error);
      return refusal(known.code, known.params);
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  /** In the order in which they came: a cancelTask does not overtake its createTask. */
  private async turn(): Promise<void> {
    if (this.running >= maxAtOnce) return new Promise((resolve) => this.waiting.push(resolve));
    this.running++;
  }

  /**
   * An agent that was killed is back within a second, so Star must not hear of it: its commands are idempotent
   * and are tried again until the time is up. The owner is told not to begin a command after that.
   */
  private async carry(owner: AgentName, method: string, paramsJson: string): Promise<string> {
    const { clock, signal, commandMs } = this.options;
    const expiresAtMs = clock.now() + commandMs;
    for (let waitMs = 20; ; waitMs = Math.min(250, waitMs * 2)) {
      const leftMs = expiresAtMs - clock.now();
      try {
        const client = this.client(owner);
        const limits = { timeoutMs: Math.max(1, Math.min(attemptMs, leftMs)), signal };
        return (await callUnary(client, client.handleCommand, { method, paramsJson, expiresAtMs }, limits)).replyJson;
      } catch (error) {
        const again = error instanceof AgentError && (error.away || error.code === 'agent.timeout');
        if (!again || signal.aborted || clock.now() + waitMs >= expiresAtMs) throw error;
        await clock.sleep(waitMs, signal);
      }
    }
  }

  private client(owner: AgentName): agent.CommandServiceClient {
    const known = this.clients.get(owner);
    if (known) return known;
    const client = dial(agent.CommandServiceClient, agentSocket(this.options.dataDir, owner));
    this.clients.set(owner, client);
    return client;
  }

  isBusy(): boolean {
    return this.running > 0;
  }

  stats(): Record<string, number> {
    return {
      commands_handled: this.handled,
      commands_failed: this.failed,
      commands_running: this.running,
      commands_waiting: this.waiting.length,
    };
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }
}

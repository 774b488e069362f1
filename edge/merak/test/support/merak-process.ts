import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { agentSocket, callUnary, dial } from '@dipper/platform';
import { agent } from '@stardipper/proto';

const root = join(__dirname, '..', '..', '..', '..');

/** The process runs what is compiled; an unchanged build takes a second. */
export function buildMerak(): void {
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-b', join(root, 'edge', 'merak')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Merak in a process of its own, to be killed. */
export class MerakProcess {
  output = '';
  private child: ChildProcess | undefined;
  private readonly commands: agent.CommandServiceClient;
  private readonly agent: agent.AgentServiceClient;

  constructor(
    private readonly dataDir: string,
    private readonly settings: Record<string, string>,
  ) {
    this.commands = dial(agent.CommandServiceClient, agentSocket(dataDir, 'merak'));
    this.agent = dial(agent.AgentServiceClient, agentSocket(dataDir, 'merak'));
  }

  /** Resolves when it says READY. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [join(root, 'edge', 'merak', 'dist', 'main.js')], {
      env: { ...process.env, ...this.settings, DIPPER_DATA: this.dataDir, LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output = (this.output + chunk.toString()).slice(-20_000);
      });
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`Merak ended with ${code}: ${this.output}`)));
    });
    child.removeAllListeners('exit');
  }

  /** SIGKILL: what was not durable is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    return await new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.kill(signal);
    });
  }

  async call(method: string, params: unknown): Promise<unknown> {
    const request = { method, paramsJson: JSON.stringify(params), expiresAtMs: 0 };
    const { replyJson } = await callUnary(this.commands, this.commands.handleCommand, request, { timeoutMs: 10_000 });
    return JSON.parse(replyJson) as unknown;
  }

  async health(): Promise<agent.GetHealthResponse> {
    return callUnary(this.agent, this.agent.getHealth, {}, { timeoutMs: 10_000 });
  }

  async stats(): Promise<Record<string, number>> {
    return (await callUnary(this.agent, this.agent.getStats, {}, { timeoutMs: 10_000 })).values;
  }

  async stop(): Promise<void> {
    await this.kill();
    this.commands.close();
    this.agent.close();
  }
}

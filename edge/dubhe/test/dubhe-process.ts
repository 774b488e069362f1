import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentSocket, callUnary, dial } from '@dipper/platform';
import { agent, dubhe } from '@stardipper/proto';

const root = join(__dirname, '..', '..', '..');

/** The processes run what is compiled; an unchanged build takes a second. */
export function buildDubhe(): void {
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-b', join(root, 'edge', 'dubhe')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export const newDataDir = (): string => mkdtempSync(join(tmpdir(), 'dubhe-'));

/** Waits until `read` gives something other than undefined or false; the message says what never happened. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 20_000,
): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value as T;
    if (Date.now() > until) throw new Error(`Did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Dubhe in a process of its own, with quick retries. */
export class DubheProcess {
  readonly reports: dubhe.DubheServiceClient;
  readonly agent: agent.AgentServiceClient;
  output = '';
  private child: ChildProcess | undefined;

  constructor(
    readonly dataDir: string,
    private readonly settings: Record<string, string>,
  ) {
    this.reports = dial(dubhe.DubheServiceClient, agentSocket(dataDir, 'dubhe'));
    this.agent = dial(agent.AgentServiceClient, agentSocket(dataDir, 'dubhe'));
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  async start(): Promise<this> {
    const env = {
      PATH: process.env.PATH,
      DIPPER_DATA: this.dataDir,
      PROVISION_KEY: 'key',
      PROVISION_SECRET: 'secret',
      DEVICE_NAME: 'box-1',
      DUBHE_RETRY_MS: '20',
      DUBHE_SLOW_RETRY_MS: '200',
      DUBHE_ACK_TIMEOUT_MS: '2000',
      DUBHE_HEALTH_MS: '60000',
      ...this.settings,
    };
    const child = spawn(process.execPath, [join(root, 'edge', 'dubhe', 'dist', 'main.js')], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (this.output = (this.output + data).slice(-20_000)));
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`dubhe ended with ${code}: ${this.output}`)));
    });
    return this;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async submit(reports: Partial<dubhe.Report>[]): Promise<void> {
    const full = reports.map((report) => ({
      id: 'r',
      key: 'taskReport',
      bodyJson: '{}',
      atMs: 1_700_000_000_000,
      cropSightingIds: [],
      ...report,
    }));
    await callUnary(this.reports, this.reports.submitReports, { reports: full }, { timeoutMs: 5000 });
  }

  async stats(): Promise<Record<string, number>> {
    return (await callUnary(this.agent, this.agent.getStats, {}, { timeoutMs: 2000 })).values;
  }

  health(): Promise<agent.GetHealthResponse> {
    return callUnary(this.agent, this.agent.getHealth, {}, { timeoutMs: 2000 });
  }

  /** Ends it and forgets its data. */
  async remove(): Promise<void> {
    await this.end('SIGKILL');
    this.reports.close();
    this.agent.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

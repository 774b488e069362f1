import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { type AgentName, agentSocket, Backoff, callUnary, dial, lockHolder, nodeFlags, systemClock } from '@dipper/platform';
import { agent } from '@stardipper/proto';
import type { Logger } from 'pino';
import { RotatingLog } from './rotating-log';
import { splitLines } from './split-lines';

/** Long enough for a model pack on a slow disk. */
const readyWithinMs = 120_000;
/** A process that answers nothing for a minute is as good as dead, and does not know it. */
const healthEveryMs = 10_000;
const healthTimeoutMs = 5_000;
const unansweredLimit = 6;
/** Between 75 and 150 ms the first time. */
const firstRestartMs = 150;
const healthyAfterMs = 30_000;
/** An agent ends itself 5 s after it was asked, whatever it is doing. */
const stopWithinMs = 8_000;

export interface AgentProcessOptions {
  readonly name: AgentName;
  /** The program, absolute. */
  readonly entry: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly onReady: (name: AgentName) => void;
}

/** Keeps one agent running: started again whenever it ends, or has stopped answering. */
export class AgentProcess {
  restarts = 0;
  ready = false;
  private child: ChildProcess | undefined;
  private readonly stopping = new AbortController();
  private readonly backoff = new Backoff(firstRestartMs, 30_000);
  private readonly file: RotatingLog;

  constructor(private readonly options: AgentProcessOptions) {
    this.file = new RotatingLog(join(options.dataDir, 'logs', `${options.name}.log`));
  }

  /** 0 while it is not running. */
  get pid(): number {
    const { child } = this;
    return child && child.exitCode === null && child.signalCode === null ? (child.pid ?? 0) : 0;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    const { log, name } = this.options;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const why = await this.runOnce();
      if (signal.aborted) break;
      this.restarts++;
      const waitMs = this.backoff.nextMs();
      log.warn({ agent: name, code: 'agent.ended', why, waitMs: Math.round(waitMs) }, `${name} ended (${why}); starting it again`);
      await systemClock.sleep(waitMs, signal);
    }
    this.file.close();
  }

  /** Asks it to end, and kills it when it has not within 8 s. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const { child } = this;
    if (!child || this.pid === 0) return;
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
    await gone;
    clearTimeout(timer);
  }

  /** From start to end of one process; says how it ended. */
  private async runOnce(): Promise<string> {
    const { name, entry, dataDir, env, onReady } = this.options;
    await endOrphan(dataDir, name, this.stopping.signal);
    if (this.stopping.signal.aborted) return 'stopped';
    const child = spawn(process.execPath, [...nodeFlags(name), entry], {
      env: { ...env, DIPPER_DATA: dataDir },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    const ended = new AbortController();
    const late = setTimeout(() => child.kill('SIGKILL'), readyWithinMs);
    const healthy = setTimeout(() => this.backoff.reset(), healthyAfterMs);
    for (const stream of [child.stdout, child.stderr]) if (stream) splitLines(stream, (line) => this.takeLine(line));
    child.on('message', (message) => {
      if ((message as { type?: unknown } | null)?.type !== 'ready') return;
      clearTimeout(late);
      this.ready = true;
      onReady(name);
      void this.watchHealth(child, ended.signal);
    });
    const why = await new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    clearTimeout(late);
    clearTimeout(healthy);
    ended.abort();
    this.ready = false;
    return why;
  }

  private async watchHealth(child: ChildProcess, signal: AbortSignal): Promise<void> {
    const { name, dataDir, log } = this.options;
    const client = dial(agent.AgentServiceClient, agentSocket(dataDir, name));
    for (let unanswered = 0; !signal.aborted && unanswered < unansweredLimit; ) {
      await systemClock.sleep(healthEveryMs, signal);
      if (signal.aborted) break;
      try {
        await callUnary(client, client.getHealth, {}, { timeoutMs: healthTimeoutMs, signal });
        unanswered = 0;
      } catch {
        unanswered++;
      }
    }
    client.close();
    if (signal.aborted) return;
    log.error({ agent: name, code: 'agent.stuck' }, `${name} does not answer; killing it`);
    child.kill('SIGKILL');
  }

  /** Everything into its file; what is a warning or worse, and what is no log line at all, to the console too. */
  private takeLine(line: string): void {
    const { name, log } = this.options;
    this.file.write(line);
    const entry = parseEntry(line);
    if (!entry) log.warn({ agent: name }, `${name}: ${line.slice(0, 500)}`);
    else if (entry.level >= 50) log.error({ agent: name, code: entry.code }, `${name}: ${entry.msg}`);
    else if (entry.level >= 40) log.warn({ agent: name, code: entry.code }, `${name}: ${entry.msg}`);
  }
}

function parseEntry(line: string): { level: number; msg: string; code?: unknown } | undefined {
  try {
    const entry = JSON.parse(line) as { level?: unknown; msg?: unknown; code?: unknown } | null;
    if (typeof entry?.level !== 'number') return undefined;
    return { level: entry.level, msg: String(entry.msg ?? '').slice(0, 500), code: entry.code };
  } catch {
    return undefined;
  }
}

/**
 * An agent of a supervisor that was killed ends by itself when its channel closes; one that hangs does not, and
 * would keep the lock on its data for ever.
 */
async function endOrphan(dataDir: string, name: AgentName, signal: AbortSignal): Promise<void> {
  const until = Date.now() + stopWithinMs;
  for (let pid = lockHolder(dataDir, name); pid !== undefined && !signal.aborted; pid = lockHolder(dataDir, name)) {
    try {
      process.kill(pid, Date.now() < until ? 'SIGTERM' : 'SIGKILL');
    } catch {
      return;
    }
    await systemClock.sleep(100, signal);
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../postgres/open-database';
import { analyticsErrors } from './analytics.errors';
import type { ChdbServerOptions } from './chdb-server';

export interface EmbeddedAnalyticsOptions {
  /** Belongs to this process alone. */
  readonly dataDir: string;
  readonly log?: Log;
  /** How to run the process; the compiled `server-main.js` beside this file unless told. */
  readonly entry?: { readonly file: string; readonly execArgv: readonly string[] };
}

export interface EmbeddedAnalytics {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Of the process that is there now; undefined while it is being started again. */
  pid(): number | undefined;
  stop(): Promise<void>;
}

const startTimeoutMs = 60_000;
const maxPauseMs = 10_000;

/**
 * Starts ClickHouse as one process over a data folder (chdb allows one process per folder) and starts it again, under the
 * same address and password, when it dies. It ends with this process, whatever ends this one. Rejects with
 * `analytics.start_failed` when the first start fails, for example because another process owns the folder.
 */
export async function startEmbeddedAnalytics(options: EmbeddedAnalyticsOptions): Promise<EmbeddedAnalytics> {
  const password = randomBytes(24).toString('base64url');
  const settings = { dataDir: options.dataDir, username: 'star', password };
  const entry = options.entry ?? { file: join(__dirname, 'server-main.js'), execArgv: [] };
  const stopping = new AbortController();
  let current = await launch(entry, { ...settings, port: 0 });
  const { port } = current;
  const supervise = async () => {
    let pauseMs = 100;
    while (!stopping.signal.aborted) {
      const upSince = performance.now();
      await current.exited;
      if (stopping.signal.aborted) return;
      if (performance.now() - upSince > maxPauseMs) pauseMs = 100;
      options.log?.warn({ dataDir: options.dataDir }, 'the analytics process ended and is started again');
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, maxPauseMs);
      if (stopping.signal.aborted) return;
      current = await launch(entry, { ...settings, port }).catch((error: unknown) => {
        options.log?.error({ err: error }, 'the analytics process did not start');
        return { ...current, child: undefined, exited: Promise.resolve() };
      });
    }
  };
  const supervising = supervise();
  return {
    url: `http://127.0.0.1:${port}`,
    username: settings.username,
    password,
    pid: () => (current.child?.exitCode === null && current.child.signalCode === null ? current.child.pid : undefined),
    stop: async () => {
      stopping.abort();
      const { child, exited } = current;
      child?.kill('SIGTERM');
      const deadline = setTimeout(() => child?.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(deadline);
      await supervising;
    },
  };
}

interface Running {
  readonly child: ChildProcess | undefined;
  readonly port: number;
  readonly exited: Promise<void>;
}

async function launch(entry: NonNullable<EmbeddedAnalyticsOptions['entry']>, options: ChdbServerOptions): Promise<Running> {
  const child = fork(entry.file, [], { execArgv: [...entry.execArgv], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let timer: NodeJS.Timeout | undefined;
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const refuse = (reason: string) => reject(analyticsErrors.error('analytics.start_failed', { reason }));
      timer = setTimeout(() => refuse('it took too long'), startTimeoutMs);
      child.once('error', (error) => refuse(error.message));
      child.once('exit', (code, signal) => refuse(`it ended with ${code ?? signal}`));
      child.once('message', (message: { type: string; port: number; reason: string }) => {
        if (message.type === 'ready') resolve(message.port);
        else refuse(message.reason);
      });
      child.send(options);
    });
    return { child, port, exited };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';

export interface ChildProgram {
  readonly name: string;
  readonly script: string;
  /** All of the child's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readyWithinMs?: number;
}

export interface KeptChild {
  readonly name: string;
  /** Of the process that runs now. */
  readonly pid: () => number | undefined;
  /** What it said with `ready` the last time. */
  readonly ready: () => Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
}

/**
 * Starts a program of ours and keeps it running: when it ends it is started again, after 100 ms, then with growing
 * pauses up to 10 s until it has lived for half a minute. Resolves when it first says `{type: 'ready'}` over IPC;
 * rejects when it ends before that. The children end by themselves when this process dies, because their IPC closes.
 */
export async function keepChild(program: ChildProgram, log: Logger): Promise<KeptChild> {
  const stopping = new AbortController();
  let child: ChildProcess | undefined;
  let ready: Record<string, unknown> = {};

  const launch = async (): Promise<void> => {
    const started = fork(program.script, [], { env: { ...program.env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child = started;
    const hard = setTimeout(() => started.kill('SIGKILL'), program.readyWithinMs ?? 60_000);
    try {
      await new Promise<void>((resolve, reject) => {
        started.on('message', (message: Record<string, unknown>) => {
          if (message?.type !== 'ready') return;
          ready = message;
          resolve();
        });
        started.once('exit', (code, signal) => reject(new Error(`${program.name} ended with ${signal ?? code} before it was ready`)));
        started.once('error', reject);
      });
    } finally {
      clearTimeout(hard);
    }
  };

  const keep = async (): Promise<void> => {
    let pauseMs = 100;
    while (!stopping.signal.aborted && child) {
      const startedAt = Date.now();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      if (stopping.signal.aborted) return;
      log.warn({ child: program.name, code: child.exitCode, signal: child.signalCode }, 'ended; starting it again');
      if (Date.now() - startedAt > 30_000) pauseMs = 100;
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, 10_000);
      if (!stopping.signal.aborted)
        await launch().catch((error: unknown) => log.error({ err: error }, `${program.name} could not be started`));
    }
  };

  await launch();
  const keeping = keep();
  return {
    name: program.name,
    pid: () => child?.pid,
    ready: () => ready,
    stop: async () => {
      stopping.abort();
      if (child && child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const hard = setTimeout(() => child?.kill('SIGKILL'), 8000);
        await once(child, 'exit');
        clearTimeout(hard);
      }
      await keeping;
    },
  };
}

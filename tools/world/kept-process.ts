/** A program of ours that is kept running, as systemd would: started again when it dies, ended with SIGTERM. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';

export interface KeptOptions {
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly readyTimeoutMs?: number;
}

export interface KeptProcess<R> {
  readonly name: string;
  /** What it said when it was ready; of the newest start. */
  readonly ready: () => R;
  readonly pid: () => number | undefined;
  readonly restarts: () => number;
  readonly stop: () => Promise<void>;
}

/** Resolves when the program has sent `{type: 'ready', …}` over IPC or as a JSON line; rejects with the end of its log. */
export async function keepRunning<R>(options: KeptOptions): Promise<KeptProcess<R>> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = createWriteStream(options.logFile, { flags: 'a' });
  let stopping = false;
  let restarts = 0;
  let ready: R;
  let child: ChildProcess | undefined;
  let tail = '';

  const start = (): Promise<R> =>
    new Promise<R>((resolve, reject) => {
      const started = spawn(process.execPath, [options.script, ...(options.args ?? [])], {
        env: { ...process.env, ...options.env },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      });
      child = started;
      const timer = setTimeout(
        () => reject(new Error(`${options.name} was not ready in time:\n${tail}`)),
        options.readyTimeoutMs ?? 120_000,
      );
      const settle = (message: unknown) => {
        if (!isReady(message)) return;
        clearTimeout(timer);
        ready = message as R;
        resolve(ready);
      };
      started.on('message', settle);
      forward(started, log, settle, (text) => {
        tail = (tail + text).slice(-4000);
      });
      started.once('error', reject);
      started.once('exit', (code, signal) => {
        clearTimeout(timer);
        if (stopping) return;
        log.write(`\n${options.name} ended (${signal ?? code}); starting it again\n`);
        reject(new Error(`${options.name} ended (${signal ?? code}):\n${tail}`));
        restarts += 1;
        // The first start is the caller's to judge; later ones are retried for ever.
        if (ready !== undefined) setTimeout(() => !stopping && start().catch(() => undefined), 200);
      });
    });

  await start();
  return {
    name: options.name,
    ready: () => ready,
    pid: () => child?.pid,
    restarts: () => restarts,
    stop: async () => {
      stopping = true;
      if (child && child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        const hard = setTimeout(() => child?.kill('SIGKILL'), 15_000);
        await gone;
        clearTimeout(hard);
      }
      log.end();
    },
  };
}

const isReady = (message: unknown): boolean =>
  typeof message === 'object' && message !== null && (message as { type?: unknown }).type === 'ready';

/** Both streams go to the log; lines of stdout that are JSON are looked at for the ready message. */
function forward(child: ChildProcess, log: WriteStream, onMessage: (message: unknown) => void, onText: (text: string) => void): void {
  let partial = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    log.write(chunk);
    onText(chunk.toString());
    const lines = (partial + chunk.toString()).split('\n');
    partial = (lines.pop() ?? '').slice(-65_536);
    for (const line of lines) {
      if (!line.includes('"ready"')) continue;
      try {
        onMessage(JSON.parse(line));
      } catch {
        // An ordinary log line.
      }
    }
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    log.write(chunk);
    onText(chunk.toString());
  });
}

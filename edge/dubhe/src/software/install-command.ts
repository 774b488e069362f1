import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { startedTicks } from '@dipper/platform';
import { dubheErrors } from '../dubhe.errors';

/**
 * Puts a verified archive to use. Resolves when it is in use; rejects with an AgentError whose code Star is told, or
 * with anything else. Is called again for the same archive when this process was killed in the middle.
 */
export type InstallSoftware = (archivePath: string, software: { readonly title: string; readonly version: string }) => Promise<void>;

export interface InstallCommandOptions {
  /** Program and arguments; the path of the archive comes after them. */
  readonly command: readonly string[];
  /** Names the running command, for a process that comes after this one was killed. */
  readonly pidPath: string;
  /** Of the command: `PACK_TITLE` and `PACK_VERSION` are added. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  /** Ends the command. */
  readonly signal: AbortSignal;
}

const keptOutput = 500;

/** Runs a program of the box. It and its children are killed when time is up or this process ends, and when they were left by one that was killed. */
export function installByCommand(options: InstallCommandOptions): InstallSoftware {
  const [program = '', ...args] = options.command;
  const { pidPath, env, timeoutMs, signal } = options;
  return async (archivePath, { title, version }) => {
    signal.throwIfAborted();
    endLeftover(pidPath);
    await new Promise<void>((resolve, reject) => {
      // A group of its own, so that its children end with it.
      const child = spawn(program, [...args, archivePath], {
        env: { ...env, PACK_TITLE: title, PACK_VERSION: version },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let output = '';
      let timedOut = false;
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output = (output + data).slice(-keptOutput)));
      const kill = () => child.pid !== undefined && killGroup(child.pid);
      const timer = setTimeout(() => {
        timedOut = true;
        kill();
      }, timeoutMs);
      signal.addEventListener('abort', kill, { once: true });
      const settle = (error?: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', kill);
        rmSync(pidPath, { force: true });
        if (error === undefined) resolve();
        else reject(error);
      };
      child.once('spawn', () =>
        writeFileSync(pidPath, JSON.stringify({ pid: child.pid, startedTicks: startedTicks(child.pid as number) })),
      );
      child.once('error', (error) => settle(dubheErrors.installFailed(error.message)));
      child.once('exit', (code, killedBy) => {
        if (code === 0) settle();
        else if (timedOut) settle(dubheErrors.installTimeout(timeoutMs));
        else settle(dubheErrors.installFailed(`${code ?? killedBy} ${output}`.trim()));
      });
    });
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Two of them would write the same folder. Never a stranger that was given the same pid later. */
function endLeftover(pidPath: string): void {
  try {
    const { pid, startedTicks: ticks } = JSON.parse(readFileSync(pidPath, 'utf8')) as { pid: number; startedTicks: string };
    if (ticks !== '' && startedTicks(pid) === ticks) killGroup(pid);
  } catch {
    // None was left, or the file was being written when the power went.
  }
  rmSync(pidPath, { force: true });
}

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AgentError } from './agent-error';
import { systemClock } from './clock';

const lockPath = (dataDir: string, name: string) => join(dataDir, 'run', `${name}.lock`);
const pidPath = (dataDir: string, name: string) => join(dataDir, 'run', `${name}.pid`);

/**
 * Makes this process the only one of its name in the data folder, so that two never write one database. It is a
 * lock of the kernel (SQLite's, on a file of its own: Node has no flock), so it goes with the process however
 * that ends and is never stale. Waits `waitMs` for the one before to end; throws agent.already_running.
 */
export async function lockAgent(dataDir: string, name: string, waitMs: number): Promise<() => void> {
  const path = lockPath(dataDir, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const until = Date.now() + waitMs;
  for (;;) {
    const lock = new DatabaseSync(path);
    try {
      lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      writeFileSync(pidPath(dataDir, name), JSON.stringify({ pid: process.pid, startedTicks: startedTicks(process.pid) }));
      return () => {
        rmSync(pidPath(dataDir, name), { force: true });
        lock.close();
      };
    } catch (error) {
      lock.close();
      // SQLITE_BUSY; anything else is a broken disk and no reason to wait.
      if (((error as { errcode?: number }).errcode ?? 0) % 256 !== 5) throw error;
      if (Date.now() >= until) throw new AgentError('agent.already_running', 'conflict', { name, pid: lockHolder(dataDir, name) ?? null });
    }
    await systemClock.sleep(50);
  }
}

/** The process that holds the lock, if it still lives; never a stranger that was given the same pid later. */
export function lockHolder(dataDir: string, name: string): number | undefined {
  try {
    const { pid, startedTicks: ticks } = JSON.parse(readFileSync(pidPath(dataDir, name), 'utf8')) as { pid: number; startedTicks: string };
    return ticks !== '' && startedTicks(pid) === ticks ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** When a process was started, in clock ticks since boot: with the pid it names a process for good. Field 22 of proc(5) stat. */
export function startedTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

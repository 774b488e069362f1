/** One installation per folder: a second one is told so instead of fighting over ports and files. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export async function holdFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'running.pid');
  const pid = Number(await readFile(file, 'utf8').catch(() => '0'));
  if (pid > 0 && pid !== process.pid && isRunning(pid)) throw new Error(`another demo runs here already (process ${pid}); stop it first`);
  await writeFile(file, String(process.pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

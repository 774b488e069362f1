import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, and those above it, so that they are still there after a power cut: a synced file is lost all the same
 * when the name of its folder was not. What is there already is synced into the folder above, too, for a process that
 * was killed after it had made the folder and before it had synced it.
 */
export function makeFolder(path: string, mode?: number): void {
  const folder = resolve(path);
  const first = mkdirSync(folder, { recursive: true, mode }) ?? folder;
  for (let above = dirname(folder); ; above = dirname(above)) {
    syncFolder(above);
    if (first.length > above.length) return;
  }
}

/** Makes durable which names are in a folder: new files, files gone, files renamed. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

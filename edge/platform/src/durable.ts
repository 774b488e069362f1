import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
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
export const syncFolder = (path: string): void => syncPath(path);

/** Makes durable what a file holds, whoever wrote it; not its name. */
export const syncFile = (path: string): void => syncPath(path);

function syncPath(path: string): void {
  const opened = openSync(path, 'r');
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

/** The disk, or this user's share of it, has no room for what was to be written. */
export const isDiskFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');

/** The text is on disk when it returns, readable for this user only; the file's name needs `syncFolder`. `wx`: it must be new. */
export function writeDurably(path: string, text: string, flags: 'w' | 'wx' = 'w'): void {
  const file = openSync(path, flags, 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Gives a file another content, by way of `beside` in the same folder: on disk, complete, when it returns; a kill or a
 * power cut leaves the old file or the new one.
 */
export function replaceDurably(path: string, text: string, beside = `${path}.next`): void {
  writeDurably(beside, text);
  renameSync(beside, path);
  syncFolder(dirname(path));
}

/** Records what a program really does to a folder, call by call, by strace. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths are relative to the recorded folder; `''` is the folder itself. */
export type Call =
  | { readonly does: 'create'; readonly path: string }
  | { readonly does: 'write'; readonly path: string; readonly at: number; readonly bytes: Buffer }
  | { readonly does: 'truncate'; readonly path: string; readonly size: number }
  /** A sync begins; what is changed from now on it may miss. */
  | { readonly does: 'syncing'; readonly path: string; readonly by: number }
  /** The sync that this thread began has returned. */
  | { readonly does: 'synced'; readonly by: number }
  | { readonly does: 'unlink'; readonly path: string }
  | { readonly does: 'rename'; readonly path: string; readonly to: string }
  | { readonly does: 'mkdir'; readonly path: string }
  /** The program said so on its standard output: from here on it is a promise. */
  | { readonly does: 'say'; readonly text: string };

/**
 * How long a program lives: until it begins this call for the n-th time (counted per thread), at which it is killed.
 * That is the worst moment there is, its writes in the page cache and none of them safe.
 */
export interface Life {
  readonly until: 'fsync' | 'fdatasync';
  readonly nth: number;
}

/**
 * strace sees the real calls of SQLite, libuv and whatever else writes, without a compiler (as a library to preload would
 * need) and without a file system of our own (as FUSE or dm-log-writes would, with root). It is a Debian package.
 */
const works = (() => {
  const tried = spawnSync('strace', ['-f', '-y', '-xx', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  if (tried.error) return 'strace is not installed';
  return tried.status === 0 ? undefined : `strace may not trace here: ${tried.stderr.trim()}`;
})();

/** A test that needs a recording; where none can be made it counts as skipped, and its name says why. */
export const testRecorded = (name: string, work: () => Promise<void>): void =>
  works === undefined ? test(name, work) : test.skip(`${name} (${works})`, work);

const understood =
  'open,openat,creat,pwrite64,write,truncate,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat';
/** Traced only to be refused: a recording that misses a change proves nothing. */
const refused = 'writev,pwritev,pwritev2,fallocate,copy_file_range,sendfile,link,linkat,symlink,symlinkat,rmdir,openat2';
const register = join(__dirname, 'register.cjs');
const lifeLimitMs = 120_000;

/**
 * Runs a TypeScript program once per life on the same folder, killed at the end of each, and answers all its calls in
 * their order. Memory dies with each life; what the program wrote does not, synced or not.
 */
export async function recordLives(folder: string, program: string, lives: readonly Life[]): Promise<Call[]> {
  const traces = mkdtempSync(join(tmpdir(), 'recorded-'));
  try {
    const calls: Call[] = [];
    for (const life of lives) {
      const trace = join(traces, 'trace');
      await live(trace, [process.execPath, '-r', register, program, folder], life);
      calls.push(...readTrace(readFileSync(trace, 'latin1'), folder));
    }
    return calls;
  } finally {
    rmSync(traces, { recursive: true, force: true });
  }
}

async function live(trace: string, command: readonly string[], { until, nth }: Life): Promise<void> {
  const inject = `inject=${until}:signal=SIGKILL:when=${nth}`;
  const options = ['-f', '-y', '-xx', '-s', '4000000', '-e', `trace=${understood},${refused}`, '-e', inject, '-o', trace];
  // A group of its own: strace alone, ended, would leave the program running.
  const child = spawn('strace', [...options, ...command], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let complaints = '';
  child.stderr.on('data', (text: Buffer) => {
    complaints += text.toString();
  });
  const tooLong = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), lifeLimitMs);
  await new Promise<void>((resolve) => child.once('close', () => resolve()));
  clearTimeout(tooLong);
  // strace ends as its program did.
  if (child.signalCode !== 'SIGKILL' || !readFileSync(trace, 'latin1').includes('killed by SIGKILL'))
    throw new Error(`was not killed at ${until} number ${nth}: ${complaints}`);
}

/**
 * The lines of one trace. Its order is the order in which strace let the threads go on, so what one thread does because
 * of another comes after it. A sync counts only once it has returned, everything else that changes something when it
 * has returned, and a promise from when it is begun. A call that the kill cut off did not happen.
 */
function readTrace(trace: string, folder: string): Call[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
    if (start !== undefined) {
      begun.set(thread, start);
      return atStart(start, Number(thread), folder);
    }
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    const whole = end === undefined ? rest : `${begun.get(thread) ?? ''}${end}`;
    const done = /\)\s+= (\d+)/.test(whole) ? atReturn(whole, Number(thread), folder) : [];
    return end === undefined ? [...atStart(whole, Number(thread), folder), ...done] : done;
  });
}

interface Parts {
  readonly name: string;
  readonly args: string;
  /** Of the first argument, where that is a descriptor. */
  readonly descriptor: string | undefined;
  /** Paths that are named, relative to the folder; undefined for those outside. */
  readonly paths: readonly (string | undefined)[];
  /** The first string, whatever it means. */
  readonly bytes: Buffer;
}

const unhex = (text: string): Buffer => Buffer.from(text.replaceAll('\\x', ''), 'hex');

function partsOf(text: string, folder: string): Parts | undefined {
  const [, name, args] = /^(\w+)\((.*)$/.exec(text) ?? [];
  if (name === undefined || args === undefined) return undefined;
  const inside = (path: string): string | undefined =>
    path === folder ? '' : path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
  const first = /^\d+<([^>]*)>/.exec(args)?.[1];
  // `at` calls name a path relative to the folder before it, which `-y` prints.
  const named = [...args.matchAll(/(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"/g)];
  const paths = named.map(([, at, path]) => {
    const text = unhex(path ?? '').toString();
    return inside(text.startsWith('/') ? text : join(unhex(at ?? '').toString(), text));
  });
  return { name, args, descriptor: first && inside(unhex(first).toString()), paths, bytes: unhex(named[0]?.[2] ?? '') };
}

function atStart(text: string, by: number, folder: string): Call[] {
  const parts = partsOf(text, folder);
  if (!parts) return [];
  const { name, args, descriptor, bytes } = parts;
  if (name === 'write' && args.startsWith('1<')) return [{ does: 'say', text: bytes.toString() }];
  if ((name === 'fsync' || name === 'fdatasync') && descriptor !== undefined) return [{ does: 'syncing', path: descriptor, by }];
  return [];
}

function atReturn(text: string, by: number, folder: string): Call[] {
  const parts = partsOf(text, folder);
  if (!parts) return [];
  const { name, args, descriptor, paths, bytes } = parts;
  const result = Number(/\)\s+= (\d+)/.exec(text)?.[1]);
  const last = Number(/(\d+)\)\s+=/.exec(text)?.[1]);
  const [path, to] = paths;
  const notUnderstood = () => new Error(`a recording cannot make sense of ${text.slice(0, 300)}`);
  if (refused.split(',').includes(name) && (descriptor !== undefined || paths.some((p) => p !== undefined))) throw notUnderstood();
  if (descriptor !== undefined) {
    if (name === 'pwrite64') return [{ does: 'write', path: descriptor, at: last, bytes: bytes.subarray(0, result) }];
    // Where it lands is known only for a file that was just begun, which is all that our code writes so.
    if (name === 'write') return [{ does: 'write', path: descriptor, at: Number.NaN, bytes: bytes.subarray(0, result) }];
    if (name === 'ftruncate') return [{ does: 'truncate', path: descriptor, size: last }];
    if (name === 'fsync' || name === 'fdatasync') return [{ does: 'synced', by }];
  }
  if (path === undefined) {
    if (name.startsWith('rename') && to !== undefined) throw notUnderstood();
    return [];
  }
  if (name === 'creat') throw notUnderstood();
  if (name.startsWith('open')) {
    if (!args.includes('O_CREAT')) return args.includes('O_TRUNC') ? [{ does: 'truncate', path, size: 0 }] : [];
    return [{ does: 'create', path }, ...(args.includes('O_TRUNC') ? [{ does: 'truncate', path, size: 0 } as const] : [])];
  }
  if (name === 'truncate') return [{ does: 'truncate', path, size: last }];
  if (name.startsWith('unlink')) {
    if (args.includes('AT_REMOVEDIR')) throw notUnderstood();
    return [{ does: 'unlink', path }];
  }
  if (name.startsWith('rename')) {
    if (to === undefined || /RENAME_/.test(args)) throw notUnderstood();
    return [{ does: 'rename', path, to }];
  }
  if (name.startsWith('mkdir')) return [{ does: 'mkdir', path }];
  return [];
}

/** Records what a program really does to a folder, call by call, by strace. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths are relative to the recorded folder; `''` is the folder itself. */
export type Call =
  | { readonly does: 'create'; readonly path: string }
  | { readonly does: 'write'; readonly path: string; readonly at: number; readonly bytes: Buffer }
  | { readonly does: 'truncate'; readonly path: string; readonly size: number }
  | { readonly does: 'sync'; readonly path: string }
  | { readonly does: 'unlink'; readonly path: string }
  | { readonly does: 'mkdir'; readonly path: string }
  /** The program said so on its standard output: from here on it is a promise. */
  | { readonly does: 'say'; readonly text: string };

export const canRecord = (): boolean => spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

const traced = 'openat,write,pwrite64,ftruncate,truncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir';

/** Runs `node ...args` until it has said `lines` lines, ends it, and answers its calls in their order. */
export async function recordWrites(folder: string, args: readonly string[], lines: number): Promise<Call[]> {
  const traces = mkdtempSync(join(tmpdir(), 'recorded-'));
  try {
    const options = ['-f', '-ff', '-ttt', '-y', '-xx', '-s', '4000000', '-e', `trace=${traced}`, '-o', join(traces, 't')];
    const child = spawn('strace', [...options, process.execPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let said = '';
    let complaints = '';
    child.stderr.on('data', (text: Buffer) => {
      complaints += text.toString();
    });
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString();
      // The whole group: strace alone would leave the program running.
      if (said.split('\n').length > lines && child.pid) process.kill(-child.pid, 'SIGKILL');
    });
    await new Promise<void>((resolve) => child.once('close', () => resolve()));
    if (said.split('\n').length <= lines) throw new Error(`ended after ${said.split('\n').length - 1} lines: ${complaints}`);
    return readTraces(traces, folder);
  } finally {
    rmSync(traces, { recursive: true, force: true });
  }
}

/** One file per thread; a call counts from when it was entered, and one that was cut off never happened. */
function readTraces(traces: string, folder: string): Call[] {
  const files = readdirSync(traces).map((name) => readFileSync(join(traces, name), 'latin1').split('\n'));
  const stamped = files.flat().flatMap((line) => {
    const call = readCall(line, folder);
    return call ? [{ at: Number(line.slice(0, line.indexOf(' '))), call }] : [];
  });
  return stamped.sort((a, b) => a.at - b.at).map(({ call }) => call);
}

const unhex = (text: string): Buffer => Buffer.from(text.replaceAll('\\x', ''), 'hex');

function readCall(line: string, folder: string): Call | undefined {
  const [, name, args, result] = /^\S+ (\w+)\((.*)\)\s+= (-?\d+)/.exec(line) ?? [];
  if (!name || args === undefined || Number(result) < 0) return undefined;
  const inside = (path: string): string | undefined =>
    path === folder ? '' : path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
  const descriptor = /^(\d+)<([^>]*)>/.exec(args);
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((m) => unhex(m[1] as string));
  const ofDescriptor = descriptor && inside(unhex(descriptor[2] as string).toString());
  const named = strings[0] && inside(strings[0].toString());
  const last = Number(/(\d+)\s*$/.exec(args)?.[1]);
  if (name === 'write' && descriptor?.[1] === '1') return { does: 'say', text: (strings[0] as Buffer).toString() };
  if (name.startsWith('rename') && named !== undefined) throw new Error(`renames are not modelled: ${line.slice(0, 200)}`);
  if (name === 'write' && ofDescriptor !== null && ofDescriptor !== undefined)
    throw new Error(`writes without a place are not modelled: ${line.slice(0, 200)}`);
  if (name === 'pwrite64' && ofDescriptor)
    return { does: 'write', path: ofDescriptor, at: last, bytes: (strings[0] as Buffer).subarray(0, Number(result)) };
  if (name === 'ftruncate' && ofDescriptor) return { does: 'truncate', path: ofDescriptor, size: last };
  if ((name === 'fsync' || name === 'fdatasync') && typeof ofDescriptor === 'string') return { does: 'sync', path: ofDescriptor };
  if (name === 'openat' && args.includes('O_CREAT') && named) return { does: 'create', path: named };
  if (name.startsWith('unlink') && named) return { does: 'unlink', path: named };
  if (name === 'mkdir' && named) return { does: 'mkdir', path: named };
  return undefined;
}

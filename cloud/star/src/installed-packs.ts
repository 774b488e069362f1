import { fork } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { AppError, Objects } from '@star/platform';
import { objectKeys } from '@stardipper/proto';
import { installError, packsErrors } from './packs.errors';

/** Reading two models of 512 MB from a slow disk, and one run of each. */
const installWithinMs = 600_000;
const maxOutput = 16_384;
/** The folder of the one pack in this home; undefined when none is there. A pack has its name only once it is whole and checked. */
export async function installedPack(home: string): Promise<string | undefined> {
  const names = await readdir(join(home, 'packs')).catch(() => [] as string[]);
  const name = names.find((each) => !each.startsWith('.'));
  return name === undefined ? undefined : join(home, 'packs', name);
}

export interface InstallPack {
  readonly objects: Pick<Objects, 'get'>;
  readonly modelsProgram: string;
  readonly env: NodeJS.ProcessEnv;
  readonly tenantId: string;
  readonly packageId: string;
  readonly sha256: string;
  readonly home: string;
  readonly signal: AbortSignal;
}

/**
 * Copies the archive from storage and has `dipper models add` check and unpack it, as a box does. Answers the pack's
 * folder; rejects with the codes of packs.errors.ts or of the command, and leaves nothing behind.
 */
export async function installPack(wanted: InstallPack): Promise<string> {
  const { objects, tenantId, packageId, sha256, home } = wanted;
  const archive = join(home, 'archive.tar.gz');
  try {
    const stored = await objects.get(tenantId, objectKeys.software(tenantId, packageId)).catch((error: unknown) => {
      throw packsErrors.error('packs.storage_unavailable', {}, error);
    });
    if (!stored) throw packsErrors.error('pack.archive_missing');
    await pipeline(stored.body, createWriteStream(archive, { mode: 0o600 }), { signal: wanted.signal }).catch((error: unknown) => {
      throw packsErrors.error('packs.storage_unavailable', {}, error);
    });
    await addPack(wanted, ['models', 'add', archive, '--data', home, '--sha256', sha256, '--json']);
    const pack = await installedPack(home);
    if (pack === undefined) throw packsErrors.error('pack.invalid', { field: 'pack.json' });
    return pack;
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(archive, { force: true });
  }
}

async function addPack({ modelsProgram, env, signal }: InstallPack, args: string[]): Promise<void> {
  const child = fork(modelsProgram, args, { env: { ...env, MIZAR_PACK: undefined }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let said = '';
  child.stderr?.on('data', (data) => {
    said = (said + String(data)).slice(-maxOutput);
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, installWithinMs);
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, by) => resolve(by ?? status));
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  });
  if (code !== 0) throw refusalIn(said, code);
}

/** The last thing it says is `dipper: <code> <parameters>`. */
function refusalIn(said: string, ended: unknown): AppError {
  const [, code = '', params = ''] = /(?:^|\n|\r)dipper: ([a-z_]+(?:\.[a-z_]+)+) (\{.*\})\s*$/.exec(said) ?? [];
  if (code === '') return packsErrors.error('packs.install_failed', {}, new Error(`ended with ${String(ended)}: ${said}`));
  return installError(code, JSON.parse(params) as Record<string, unknown>);
}

/** Packs that were not asked for the longest go, beyond `max`; they are unpacked again when somebody asks. */
export async function removeOldest(folder: string, max: number, kept: ReadonlySet<string>): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !kept.has(name));
  const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
  const excess = Math.max(0, names.length + kept.size - max);
  for (const { name } of aged.sort((a, b) => a.at - b.at).slice(0, excess)) await rm(join(folder, name), { recursive: true, force: true });
}

import { fork } from 'node:child_process';
import { extname, join } from 'node:path';
import { AgentError, type ErrorKind } from '@dipper/platform';
import { mizarErrors } from '../mizar.errors';
import type { PackSpec } from './pack';

/** What the checking process answers. */
export type PackVerdict =
  | { readonly ok: true; readonly spec: PackSpec }
  | {
      readonly ok: false;
      readonly code: string;
      readonly kind: ErrorKind;
      readonly params: Record<string, unknown>;
      readonly cause: string;
    };

/** Reading 512 MB from a slow disk and one run of each model on a slow core. */
const CHECK_WITHIN_MS = 180_000;

export interface CheckOptions {
  readonly signal?: AbortSignal;
  /** What Node needs to run the check from source. */
  readonly execArgv?: readonly string[];
  readonly withinMs?: number;
}

/**
 * All that Mizar holds against a pack before it looks at footage: description, hashes, tensors. Answers what the pack
 * says of itself. It is done in a process of its own, because a broken model can take the process that opens it with it.
 * Throws `pack.invalid`, `pack.file_missing`, `pack.hash_mismatch` with the field, `pack.crashes` with how.
 */
export async function checkPack(folder: string, { signal, execArgv, withinMs = CHECK_WITHIN_MS }: CheckOptions = {}): Promise<PackSpec> {
  const child = fork(join(__dirname, `check-pack-main${extname(__filename)}`), [folder], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    ...(execArgv ? { execArgv: [...execArgv] } : {}),
  });
  let verdict: PackVerdict | undefined;
  let late = false;
  child.on('message', (message) => {
    verdict = message as PackVerdict;
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, withinMs);
  signal?.addEventListener('abort', kill, { once: true });
  if (signal?.aborted) kill();
  const how = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, by) => resolve(by ?? `exit status ${code}`));
  });
  clearTimeout(timer);
  signal?.removeEventListener('abort', kill);
  if (signal?.aborted) throw mizarErrors.cancelled();
  if (!verdict) throw mizarErrors.packCrashes(late ? `no answer in ${withinMs} ms` : how);
  if (verdict.ok) return verdict.spec;
  throw new AgentError(verdict.code, verdict.kind, verdict.params, verdict.cause);
}

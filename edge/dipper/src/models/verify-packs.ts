import { existsSync } from 'node:fs';
import { type CheckOptions, checkPack, packFolder } from '@dipper/mizar';
import { AgentError } from '@dipper/platform';
import { modelsErrors } from './models.errors';

export type Verified =
  | { readonly id: string; readonly ok: true }
  | { readonly id: string; readonly ok: false; readonly code: string; readonly params: Readonly<Record<string, unknown>> };

/** Checks installed packs as Mizar does before it looks at footage, one after the other. */
export async function verifyPacks(dataDir: string, ids: readonly string[], check: CheckOptions = {}): Promise<Verified[]> {
  const results: Verified[] = [];
  for (const id of ids) results.push(await verify(dataDir, id, check));
  return results;
}

async function verify(dataDir: string, id: string, check: CheckOptions): Promise<Verified> {
  try {
    const folder = packFolder(dataDir, id);
    if (!existsSync(folder)) throw modelsErrors.notInstalled(id);
    const spec = await checkPack(folder, check);
    if (spec.id !== id) throw new AgentError('pack.invalid', 'unprocessable', { field: 'id' });
    return { id, ok: true };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { id, ok: false, code: error.code, params: error.params };
  }
}

import { AgentError } from '@dipper/platform';
import { FaceEngine } from '../inference/face-engine';
import type { PackVerdict } from './check-pack';
import { loadPack } from './load-pack';

async function main(folder: string): Promise<PackVerdict> {
  try {
    const pack = await loadPack(folder);
    await (await FaceEngine.open(pack)).close();
    return { ok: true, spec: pack.spec };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const { code, kind, params, cause } = error;
    return { ok: false, code, kind, params: { ...params }, cause: String(cause ?? '') };
  }
}

// Who asked may be gone; nobody waits for the answer then.
process.once('disconnect', () => process.exit(1));
void main(process.argv[2] ?? '').then((verdict) => process.send?.(verdict, () => process.exit(0)));

import type { Database, TenantKeys } from '@star/platform';
import { deleteUnsealed, listUnsealed, writeSealed } from './embedding.store';
import { embeddingSealOf } from './embedding-seal';

const atOnce = 1000;

/**
 * Seals the embeddings from before there were keys, and answers how many. To be run before anything reads embeddings;
 * where it is killed it goes on at the next run. Of a tenant whose key was erased they are deleted.
 */
export async function sealOldEmbeddings(deps: { database: Database; tenantKeys: Pick<TenantKeys, 'boxOf'> }): Promise<number> {
  const { database } = deps;
  for (let done = 0; ; ) {
    const rows = await database.system('embeddings to seal', (tx) => listUnsealed(tx, atOnce));
    const tenantId = rows[0]?.tenant_id;
    if (tenantId === undefined) return done;
    const own = rows.filter((row) => row.tenant_id === tenantId);
    const seal = await embeddingSealOf(deps)(tenantId).catch((error: { code?: string }) => {
      if (error.code !== 'tenant.erased') throw error;
      return undefined;
    });
    await database.tenant(tenantId, async (tx) => {
      if (!seal) return void (await deleteUnsealed(tx, tenantId));
      for (const { person_id: personId, photo_id: photoId, pack_id: packId, embedding } of own) {
        const owner = { personId, photoId, packId };
        await writeSealed(tx, owner, seal.seal(owner, embedding));
      }
    });
    done += own.length;
  }
}

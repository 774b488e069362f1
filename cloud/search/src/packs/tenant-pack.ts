import type { Tx } from '@star/platform';
import type { FaceEmbedder, Pack, SearchDeps } from '../ports';
import { findAssignedPack } from './pack-assignment.store';

/** What the tenant's people are searched with. Of an assigned pack this needs no Mizar. */
export const packOf =
  (deps: Pick<SearchDeps, 'database' | 'embedders'>) =>
  async (tenantId: string): Promise<Pack> =>
    (await deps.database.tenant(tenantId, (tx: Tx) => findAssignedPack(tx, tenantId))) ?? deps.embedders.own.pack();

/** What the tenant's photos are embedded with; `own` when it is the installation's pack. */
export const embedderOf =
  ({ database, embedders }: Pick<SearchDeps, 'database' | 'embedders'>) =>
  async (tenantId: string): Promise<FaceEmbedder & { own: boolean }> => {
    const assigned = await database.tenant(tenantId, (tx) => findAssignedPack(tx, tenantId));
    return { ...(assigned ? embedders.of(assigned.archive) : embedders.own), own: !assigned };
  };

import type { FirstArea } from './ports';
import { deleteCommunity, insertFirstCommunity } from './tenant-life.store';

/** A tenant's first area is a community of its own. */
export const firstCommunity: FirstArea = {
  createFirstArea: async (tx, { tenantId, areaId, name }) => {
    await insertFirstCommunity(tx, tenantId, areaId, name);
  },
  removeFirstArea: async (tx, areaId) => {
    await deleteCommunity(tx, areaId);
  },
};

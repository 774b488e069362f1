import { deleteAreaRow, findArea, insertArea } from '../areas/area.store';
import { pathBelow } from '../areas/area-path';
import type { FirstArea } from './ports';

/** A tenant's first area is a community at the top of its tree. */
export const firstArea: FirstArea = {
  createFirstArea: async (tx, { tenantId, areaId, name }) => {
    if (await findArea(tx, areaId)) return;
    await insertArea(tx, tenantId, { id: areaId, parentId: null, kind: 'community', name, path: pathBelow('', areaId) });
  },
  removeFirstArea: async (tx, areaId) => {
    await deleteAreaRow(tx, areaId);
  },
};

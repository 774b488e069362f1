import { type Caller, inScope, type Tx } from '@star/platform';
import type { Area, AreaKind, Page } from '@stardipper/proto';
import { afterCursor, cursorAt } from '../age-cursor';
import { tenantError } from '../tenants.errors';
import { type AreaRow, findArea, holdAreaRow, listAreas } from './area.store';
import { idsOf } from './area-path';
import type { AreasDeps } from './deps';
import type { Hanging } from './ports';

const nothing: Hanging = { edges: 0, cameras: 0, provisioningKeys: 0 };

interface Shown {
  readonly hanging?: Hanging | undefined;
  readonly open?: boolean;
  readonly writable?: boolean;
}

/** As somebody sees it who may do everything with it, unless told. */
export const shownArea = (row: AreaRow, { hanging = nothing, open = true, writable = true }: Shown = {}): Area => ({
  id: row.id,
  parentId: row.parent_id,
  kind: row.kind,
  name: row.name,
  open,
  writable,
  edges: hanging.edges,
  cameras: hanging.cameras,
  createdAt: row.created_at.toISOString(),
});

async function countHanging(
  { hanging }: AreasDeps,
  tx: Tx,
  tenantId: string,
  areaIds: readonly string[],
): Promise<ReadonlyMap<string, Hanging>> {
  const sums = new Map<string, Hanging>();
  for (const each of hanging) {
    for (const [id, own] of await each.count(tx, tenantId, areaIds)) {
      const sum = sums.get(id) ?? nothing;
      sums.set(id, {
        edges: sum.edges + own.edges,
        cameras: sum.cameras + own.cameras,
        provisioningKeys: sum.provisioningKeys + own.provisioningKeys,
      });
    }
  }
  return sums;
}

/**
 * The tree as a list, oldest first; `parentId` says how it hangs together. Of those above the caller's areas the names are
 * shown and nothing else. A cursor that is none throws a ZodError, which the HTTP side answers as `request.invalid`.
 */
export const readAreas =
  (deps: AreasDeps) =>
  async (caller: Caller, query: { cursor?: string; limit: number }): Promise<Page<Area>> => {
    const after = afterCursor(query.cursor);
    const scope = await deps.areasVisibleTo(caller, 'areas.read');
    const writing = await deps.areasVisibleTo(caller, 'areas.write');
    return deps.database.tenant(caller.tenantId, async (tx) => {
      const rows = await listAreas(tx, caller.tenantId, scope, after, query.limit + 1);
      const page = rows.slice(0, query.limit);
      const open = page.filter((row) => inScope(scope, row.id)).map((row) => row.id);
      const counts = await countHanging(deps, tx, caller.tenantId, open);
      const last = page.at(-1);
      return {
        items: page.map((row) =>
          shownArea(row, { hanging: counts.get(row.id), open: inScope(scope, row.id), writable: inScope(writing, row.id) }),
        ),
        nextCursor: rows.length > page.length && last ? cursorAt(last) : null,
      };
    });
  };

/** Throws `area.not_found`. */
export const readArea =
  (deps: AreasDeps) =>
  async (caller: Caller, areaId: string): Promise<Area> => {
    const scope = await deps.areasVisibleTo(caller, 'areas.read');
    const writing = await deps.areasVisibleTo(caller, 'areas.write');
    return deps.database.tenant(caller.tenantId, async (tx) => {
      const row = inScope(scope, areaId) ? await findArea(tx, areaId) : undefined;
      if (!row) throw tenantError('area.not_found', { areaId });
      const hanging = (await countHanging(deps, tx, caller.tenantId, [areaId])).get(areaId);
      return shownArea(row, { hanging, writable: inScope(writing, areaId) });
    });
  };

/** What others hang things on. */
export interface HeldArea {
  readonly id: string;
  readonly kind: AreaKind;
  /** Ids from the top of the tree down to it, itself included. */
  readonly path: readonly string[];
}

/**
 * For services that hang things on an area, in the transaction that does: the area stays until that ends. One that was
 * merged is the one it became, so an old id still works. Undefined when the tenant of the transaction has none such.
 */
export async function holdArea(tx: Tx, areaId: string): Promise<HeldArea | undefined> {
  const row = await holdAreaRow(tx, areaId);
  return row && { id: row.id, kind: row.kind, path: idsOf(row.path) };
}

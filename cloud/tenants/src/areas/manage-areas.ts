import { randomUUID } from 'node:crypto';
import { type AreaScope, type Caller, inScope, isUniqueViolation, type Tx, who } from '@star/platform';
import { type Area, type AreaKind, areaParents } from '@stardipper/proto';
import { recordAudit } from '../audit';
import { announceAreas } from '../grants/area-access.store';
import { moveGrants } from '../grants/grant.store';
import { tenantError } from '../tenants.errors';
import {
  type AreaRow,
  childrenOf,
  countAreas,
  deepestBelow,
  deleteAreaRow,
  findArea,
  hangUnder,
  insertArea,
  lockArea,
  lockTree,
  noteMerge,
  renameAreaRow,
} from './area.store';
import { idsOf, maxAreaDepth, maxAreas, pathBelow } from './area-path';
import type { AreasDeps } from './deps';
import { shownArea } from './read-areas';

interface Writing {
  readonly tx: Tx;
  readonly caller: Caller;
  readonly scope: AreaScope;
}

/** One change of the tree under its lock, told to every process that remembers who may see what. */
async function change<T>(deps: AreasDeps, caller: Caller, work: (writing: Writing) => Promise<T>): Promise<T> {
  const scope = await deps.areasVisibleTo(caller, 'areas.write');
  try {
    return await deps.database.tenant(caller.tenantId, async (tx) => {
      await lockTree(tx, caller.tenantId);
      const done = await work({ tx, caller, scope });
      await announceAreas(tx, caller.tenantId);
      return done;
    });
  } catch (error) {
    if (isUniqueViolation(error, 'areas_name')) throw tenantError('area.name_taken');
    throw error;
  } finally {
    deps.forgetAreas(caller.tenantId);
  }
}

/** Where the caller may not write there is nothing for them. */
async function ownArea({ tx, scope }: Writing, areaId: string): Promise<AreaRow> {
  const row = inScope(scope, areaId) ? await findArea(tx, areaId) : undefined;
  if (!row) throw tenantError('area.not_found', { areaId });
  return row;
}

/** The path of a parent that may have such a child; the top of the tree is only for those who may write everywhere. */
async function parentPath(writing: Writing, kind: AreaKind, parentId: string | null): Promise<string> {
  if (parentId === null && writing.scope !== 'all') throw tenantError('area.top_forbidden');
  const parent = parentId === null ? null : await ownArea(writing, parentId);
  if (!areaParents[kind].includes(parent?.kind ?? null)) throw tenantError('area.parent_unfit', { kind, parentKind: parent?.kind ?? null });
  return parent?.path ?? '';
}

/** Throws `area.not_found` (the parent), `area.parent_unfit`, `area.top_forbidden`, `area.too_deep`, `area.too_many`, `area.name_taken`. */
export const createArea =
  (deps: AreasDeps) =>
  (caller: Caller, input: { parentId: string | null; kind: AreaKind; name: string }): Promise<Area> =>
    change(deps, caller, async (writing) => {
      const { tx } = writing;
      const above = await parentPath(writing, input.kind, input.parentId);
      if (idsOf(above).length >= maxAreaDepth) throw tenantError('area.too_deep', { max: maxAreaDepth });
      if ((await countAreas(tx, caller.tenantId)) >= maxAreas) throw tenantError('area.too_many', { max: maxAreas });
      const id = randomUUID();
      const row = await insertArea(tx, caller.tenantId, { ...input, id, path: pathBelow(above, id) });
      await recordAudit(tx, {
        ...who(caller),
        action: 'area.created',
        subject: id,
        after: { kind: row.kind, name: row.name, parentId: row.parent_id },
      });
      return shownArea(row);
    });

/** Throws `area.not_found`, `area.name_taken`. */
export const renameArea =
  (deps: AreasDeps) =>
  (caller: Caller, areaId: string, name: string): Promise<Area> =>
    change(deps, caller, async (writing) => {
      const row = await ownArea(writing, areaId);
      await renameAreaRow(writing.tx, areaId, name);
      await recordAudit(writing.tx, {
        ...who(caller),
        action: 'area.renamed',
        subject: areaId,
        before: { name: row.name },
        after: { name },
      });
      return shownArea({ ...row, name });
    });

/**
 * With everything below it. Throws `area.not_found`, `area.parent_unfit`, `area.top_forbidden`, `area.cycle` when the new
 * parent is below the area, `area.too_deep`, `area.name_taken`.
 */
export const moveArea =
  (deps: AreasDeps) =>
  (caller: Caller, areaId: string, parentId: string | null): Promise<Area> =>
    change(deps, caller, async (writing) => {
      const { tx } = writing;
      const row = await ownArea(writing, areaId);
      const above = await parentPath(writing, row.kind, parentId);
      if (idsOf(above).includes(areaId)) throw tenantError('area.cycle', { areaId, parentId });
      await requireDepth(writing, row, above);
      await hangUnder(tx, caller.tenantId, row, above);
      const moved = { before: { parentId: row.parent_id }, after: { parentId } };
      await recordAudit(tx, { ...who(caller), action: 'area.moved', subject: areaId, ...moved });
      return shownArea({ ...row, parent_id: parentId });
    });

async function requireDepth({ tx, caller }: Writing, row: AreaRow, above: string): Promise<void> {
  const levels = idsOf(await deepestBelow(tx, caller.tenantId, row)).length - idsOf(row.path).length + 1;
  if (idsOf(above).length + levels > maxAreaDepth) throw tenantError('area.too_deep', { max: maxAreaDepth });
}

/**
 * Everything that hangs on the area, its sub-areas, edges, cameras, provisioning keys and grants, hangs on `intoId`
 * afterwards, and whoever still names it means that one. One transaction. Throws `area.not_found`, `area.merge_unfit` for two kinds, one area, or
 * one below the other; `area.name_taken` when both have a child of one name; `area.too_deep`.
 */
export const mergeAreas =
  (deps: AreasDeps) =>
  (caller: Caller, areaId: string, intoId: string): Promise<Area> =>
    change(deps, caller, async (writing) => {
      const { tx } = writing;
      const [from, into] = [await ownArea(writing, areaId), await ownArea(writing, intoId)];
      const related = idsOf(from.path).includes(intoId) || idsOf(into.path).includes(areaId);
      if (from.kind !== into.kind || related) throw tenantError('area.merge_unfit', { kind: from.kind, intoKind: into.kind });
      // Both: a role that is just being granted on the other must be seen by the one that is moved there.
      await lockArea(tx, areaId);
      await lockArea(tx, intoId);
      for (const child of await childrenOf(tx, areaId)) {
        await requireDepth(writing, child, into.path);
        await hangUnder(tx, caller.tenantId, child, into.path);
      }
      await moveGrants(tx, areaId, intoId);
      for (const hanging of deps.hanging) await hanging.moveAll(tx, caller.tenantId, areaId, intoId);
      await noteMerge(tx, caller.tenantId, areaId, intoId);
      await deleteAreaRow(tx, areaId);
      await recordAudit(tx, { ...who(caller), action: 'area.merged', subject: areaId, details: { intoId, name: from.name } });
      return shownArea(into);
    });

/** With the roles granted on it. Throws `area.not_found`, and `area.not_empty` while anything else hangs on it. */
export const removeArea =
  (deps: AreasDeps) =>
  (caller: Caller, areaId: string): Promise<void> =>
    change(deps, caller, async (writing) => {
      const { tx } = writing;
      const row = await ownArea(writing, areaId);
      await lockArea(tx, areaId);
      const counted = await Promise.all(deps.hanging.map((hanging) => hanging.count(tx, caller.tenantId, [areaId])));
      const sum = (what: 'edges' | 'cameras' | 'provisioningKeys') =>
        counted.reduce((all, each) => all + (each.get(areaId)?.[what] ?? 0), 0);
      const left = {
        areas: (await childrenOf(tx, areaId)).length,
        edges: sum('edges'),
        cameras: sum('cameras'),
        provisioningKeys: sum('provisioningKeys'),
      };
      if (Object.values(left).some((count) => count > 0)) throw tenantError('area.not_empty', left);
      await deleteAreaRow(tx, areaId);
      await recordAudit(tx, { ...who(caller), action: 'area.deleted', subject: areaId, details: { kind: row.kind, name: row.name } });
    });

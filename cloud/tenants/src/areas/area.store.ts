import type { AreaScope, Tx } from '@star/platform';
import { scopeIds } from '@star/platform';
import type { AreaKind } from '@stardipper/proto';
import { idsOf, rangeBelow } from './area-path';

export interface AreaRow {
  readonly id: string;
  readonly parent_id: string | null;
  readonly kind: AreaKind;
  readonly name: string;
  /** See `idsOf`. */
  readonly path: string;
  readonly created_at: Date;
}

const columns = 'id, parent_id, kind, name, path, created_at';

/**
 * One change of a tenant's tree at a time: what was checked under this lock (no cycle, depth, emptiness) still holds when it
 * is written. Held until the transaction ends; readers and whoever hangs things on areas do not wait for it.
 */
export const lockTree = async (tx: Tx, tenantId: string): Promise<void> => {
  await tx.query('SELECT 1 FROM tenants.tenants WHERE tenant_id = $1 FOR NO KEY UPDATE', [tenantId]);
};

export const findArea = async (tx: Tx, id: string): Promise<AreaRow | undefined> =>
  (await tx.query<AreaRow>(`SELECT ${columns} FROM tenants.areas WHERE id = $1`, [id]))[0];

export const countAreas = async (tx: Tx, tenantId: string): Promise<number> =>
  Number((await tx.query('SELECT count(*) AS areas FROM tenants.areas WHERE tenant_id = $1', [tenantId]))[0]?.areas);

/** Throws the database's unique violation `areas_name`. */
export const insertArea = async (
  tx: Tx,
  tenantId: string,
  area: { id: string; parentId: string | null; kind: AreaKind; name: string; path: string },
): Promise<AreaRow> =>
  (
    await tx.query<AreaRow>(
      `INSERT INTO tenants.areas (tenant_id, id, parent_id, kind, name, path) VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${columns}`,
      [tenantId, area.id, area.parentId, area.kind, area.name, area.path],
    )
  )[0] as AreaRow;

/** Throws the database's unique violation `areas_name`. */
export const renameAreaRow = (tx: Tx, id: string, name: string): Promise<number> =>
  tx.execute('UPDATE tenants.areas SET name = $2 WHERE id = $1', [id, name]);

const below = 'tenant_id = $1 AND path >= $2 AND path < $3';

/** The path of the deepest area at or below this one. */
export const deepestBelow = async (tx: Tx, tenantId: string, area: AreaRow): Promise<string> => {
  const rows = await tx.query<{ path: string }>(`SELECT path FROM tenants.areas WHERE ${below} ORDER BY length(path) DESC LIMIT 1`, [
    tenantId,
    ...rangeBelow(area.path),
  ]);
  return rows[0]?.path ?? area.path;
};

/** Hangs the area, with everything below it, under the path of another. Throws the database's unique violation `areas_name`. */
export const hangUnder = (tx: Tx, tenantId: string, area: AreaRow, parentPath: string): Promise<number> =>
  tx.execute(
    `UPDATE tenants.areas SET path = $4 || substr(path, $5), parent_id = CASE WHEN id = $6 THEN $7::uuid ELSE parent_id END WHERE ${below}`,
    [
      tenantId,
      ...rangeBelow(area.path),
      parentPath,
      area.path.length - `${area.id}/`.length + 1,
      area.id,
      idsOf(parentPath).at(-1) ?? null,
    ],
  );

export const childrenOf = (tx: Tx, id: string): Promise<AreaRow[]> =>
  tx.query<AreaRow>(`SELECT ${columns} FROM tenants.areas WHERE parent_id = $1 ORDER BY id`, [id]);

/** Waits for everybody who is just hanging something on the area. */
export const lockArea = async (tx: Tx, id: string): Promise<void> => {
  await tx.query('SELECT 1 FROM tenants.areas WHERE id = $1 FOR UPDATE', [id]);
};

export const deleteAreaRow = (tx: Tx, id: string): Promise<number> => tx.execute('DELETE FROM tenants.areas WHERE id = $1', [id]);

/** Also for those that were merged into `from` before. */
export const noteMerge = async (tx: Tx, tenantId: string, from: string, into: string): Promise<void> => {
  await tx.execute('UPDATE tenants.merged_areas SET into_id = $2 WHERE into_id = $1', [from, into]);
  await tx.execute('INSERT INTO tenants.merged_areas (tenant_id, area_id, into_id) VALUES ($1, $2, $3)', [tenantId, from, into]);
};

/**
 * The area as it may be hung things on: it is neither merged nor deleted until the transaction ends. One that was merged is
 * the one it became; undefined when the tenant has none such.
 */
export async function holdAreaRow(tx: Tx, id: string): Promise<AreaRow | undefined> {
  const held = (of: string) => tx.query<AreaRow>(`SELECT ${columns} FROM tenants.areas WHERE id = $1 FOR KEY SHARE`, [of]);
  const [row] = await held(id);
  if (row) return row;
  const [merged] = await tx.query<{ into_id: string }>('SELECT into_id FROM tenants.merged_areas WHERE area_id = $1', [id]);
  if (!merged) return undefined;
  const [into] = await held(merged.into_id);
  // Merged once more between the two statements: the chain is short, and each step is a merge somebody made by hand.
  return into ?? holdAreaRow(tx, merged.into_id);
}

/** In the order they were made, from after `after`. With a scope: what is in it, and what leads there from the top. */
export const listAreas = (
  tx: Tx,
  tenantId: string,
  scope: AreaScope,
  after: readonly [string, string] | undefined,
  limit: number,
): Promise<(AreaRow & { micros: string })[]> =>
  tx.query(
    `SELECT ${columns}, (extract(epoch FROM created_at) * 1000000)::bigint::text AS micros FROM tenants.areas
     WHERE tenant_id = $5 AND (created_at, id) > ('epoch'::timestamptz + $1::bigint * interval '1 microsecond', $2::uuid)
       AND ($3::uuid[] IS NULL OR id IN
         (SELECT unnest(string_to_array(rtrim(path, '/'), '/'))::uuid FROM tenants.areas WHERE id = ANY ($3)))
     ORDER BY created_at, id LIMIT $4`,
    [after?.[0] ?? '0', after?.[1] ?? '00000000-0000-0000-0000-000000000000', scopeIds(scope), limit, tenantId],
  );

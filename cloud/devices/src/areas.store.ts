import type { Tx } from '@star/platform';

interface Counts {
  area_id: string;
  edges: number;
  cameras: number;
  keys: number;
}

/**
 * What hangs on the areas themselves; a camera that follows its edge hangs where that is. In a transaction of the tenant,
 * which may be another service's: the change of the tree and this are one.
 */
export async function countOnAreas(
  tx: Tx,
  tenantId: string,
  areaIds: readonly string[],
): Promise<ReadonlyMap<string, { edges: number; cameras: number; provisioningKeys: number }>> {
  const rows = await tx.query<Counts>(
    `SELECT area_id, sum(edges)::int AS edges, sum(cameras)::int AS cameras, sum(keys)::int AS keys FROM (
       SELECT area_id, count(*) AS edges, 0 AS cameras, 0 AS keys FROM devices.edges WHERE tenant_id = $2 AND area_id = ANY ($1) GROUP BY 1
       UNION ALL SELECT coalesce(c.area_id, e.area_id), 0, count(*), 0 FROM devices.cameras c JOIN devices.edges e ON e.id = c.edge_id
         WHERE c.tenant_id = $2 AND e.tenant_id = $2 AND coalesce(c.area_id, e.area_id) = ANY ($1) GROUP BY 1
       UNION ALL SELECT area_id, 0, 0, count(*) FROM devices.provisioning_keys WHERE tenant_id = $2 AND area_id = ANY ($1) GROUP BY 1
     ) AS hanging GROUP BY area_id`,
    [areaIds, tenantId],
  );
  return new Map(rows.map((row) => [row.area_id, { edges: row.edges, cameras: row.cameras, provisioningKeys: row.keys }]));
}

/** Everything that hangs on one area hangs on the other afterwards. */
export async function moveOnAreas(tx: Tx, tenantId: string, from: string, to: string): Promise<void> {
  for (const table of ['edges', 'cameras', 'provisioning_keys', 'refused_edges'])
    await tx.execute(`UPDATE devices.${table} SET area_id = $2 WHERE area_id = $1 AND tenant_id = $3`, [from, to, tenantId]);
}

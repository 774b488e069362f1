import type { Tx } from '@star/platform';

export type AttributeScope = 'CLIENT' | 'SHARED' | 'SERVER';

/** What one device may keep of its own; ThingsBoard has no such bound, and a disk has. */
export const maxAttributesPerScope = 1000;

/** Writes values as JSON text; answers how many attributes the scope holds then. */
export async function saveAttributes(
  tx: Tx,
  edge: { tenantId: string; id: string },
  scope: AttributeScope,
  values: ReadonlyMap<string, unknown>,
): Promise<number> {
  const keys = [...values.keys()];
  await tx.execute(
    `INSERT INTO devices.attributes (tenant_id, edge_id, scope, key, value_json)
     SELECT $1, $2, $3, key, value_json FROM unnest($4::text[], $5::text[]) AS v (key, value_json) ORDER BY key
     ON CONFLICT ON CONSTRAINT attributes_pkey DO UPDATE SET value_json = excluded.value_json, updated_at = now()`,
    [edge.tenantId, edge.id, scope, keys, keys.map((key) => JSON.stringify(values.get(key)))],
  );
  const [row] = await tx.query<{ count: number }>('SELECT count(*) AS count FROM devices.attributes WHERE edge_id = $1 AND scope = $2', [
    edge.id,
    scope,
  ]);
  return row?.count ?? 0;
}

/** Answers the keys that were there. */
export async function deleteAttributes(tx: Tx, edgeId: string, scope: AttributeScope, keys: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ key: string }>(
    'DELETE FROM devices.attributes WHERE edge_id = $1 AND scope = $2 AND key = ANY ($3::text[]) RETURNING key',
    [edgeId, scope, keys],
  );
  return rows.map((row) => row.key);
}

/** Key to JSON text. */
export async function readAttributes(
  tx: Tx,
  edgeId: string,
  scope: AttributeScope,
  keys: readonly string[] | 'all',
): Promise<Map<string, string>> {
  const rows = await tx.query<{ key: string; value_json: string }>(
    `SELECT key, value_json FROM devices.attributes
     WHERE edge_id = $1 AND scope = $2 AND ($3::text[] IS NULL OR key = ANY ($3::text[])) ORDER BY key`,
    [edgeId, scope, keys === 'all' ? null : keys],
  );
  return new Map(rows.map((row) => [row.key, row.value_json]));
}

import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { EdgeIdentity } from './edge';

export interface CredentialsRow {
  readonly kind: 'ACCESS_TOKEN' | 'MQTT_BASIC';
  readonly clientId: string | undefined;
  readonly userName: string | undefined;
  readonly passwordHash: Buffer | undefined;
  readonly edge: EdgeIdentity;
}

/** Credentials found under one of the hashes, in the order of the hashes. */
export async function findCredentials(tx: Tx, hashes: readonly Buffer[]): Promise<CredentialsRow[]> {
  const rows = await tx.query<{
    kind: 'ACCESS_TOKEN' | 'MQTT_BASIC';
    client_id: string | null;
    user_name: string | null;
    password_hash: Buffer | null;
    edge_id: string;
    tenant_id: string;
    area_id: string;
    name: string;
  }>(
    `SELECT c.kind, c.client_id, c.user_name, c.password_hash, c.edge_id, c.tenant_id, e.area_id, e.name
     FROM devices.credentials c JOIN devices.edges e ON e.id = c.edge_id
     WHERE c.lookup_hash = ANY ($1::bytea[]) ORDER BY array_position($1::bytea[], c.lookup_hash)`,
    [hashes],
  );
  return rows.map((row) => ({
    kind: row.kind,
    clientId: row.client_id ?? undefined,
    userName: row.user_name ?? undefined,
    passwordHash: row.password_hash ?? undefined,
    edge: { id: row.edge_id, tenantId: row.tenant_id, areaId: row.area_id, name: row.name },
  }));
}

/** The edge of that name and the hash its credentials are under. */
export async function findEdgeByName(tx: Tx, name: string): Promise<{ edge: EdgeIdentity; lookupHash: Buffer | undefined } | undefined> {
  const [row] = await tx.query<{ id: string; tenant_id: string; area_id: string; name: string; lookup_hash: Buffer | null }>(
    `SELECT e.id, e.tenant_id, e.area_id, e.name, c.lookup_hash
     FROM devices.edges e LEFT JOIN devices.credentials c ON c.edge_id = e.id WHERE e.name = $1`,
    [name],
  );
  if (!row) return undefined;
  return {
    edge: { id: row.id, tenantId: row.tenant_id, areaId: row.area_id, name: row.name },
    lookupHash: row.lookup_hash ?? undefined,
  };
}

export interface NewCredentials {
  readonly kind: 'ACCESS_TOKEN' | 'MQTT_BASIC';
  readonly lookupHash: Buffer;
  readonly clientId: string | null;
  readonly userName: string | null;
  readonly passwordHash: Buffer | null;
}

/** Violates `edges_name` or `credentials_lookup` when the name or the credentials are taken. */
export async function insertEdge(tx: Tx, edge: EdgeIdentity, credentials: NewCredentials): Promise<void> {
  await tx.execute('INSERT INTO devices.edges (id, tenant_id, area_id, name) VALUES ($1, $2, $3, $4)', [
    edge.id,
    edge.tenantId,
    edge.areaId,
    edge.name,
  ]);
  await tx.execute(
    `INSERT INTO devices.credentials (edge_id, tenant_id, kind, lookup_hash, client_id, user_name, password_hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      edge.id,
      edge.tenantId,
      credentials.kind,
      credentials.lookupHash,
      credentials.clientId,
      credentials.userName,
      credentials.passwordHash,
    ],
  );
}

/** In a tenant's transaction: whether the edge is the tenant's, and within the scope. */
export async function edgeExists(tx: Tx, id: string, scope: AreaScope): Promise<boolean> {
  return (
    (await tx.query('SELECT 1 FROM devices.edges WHERE id = $1 AND ($2::uuid[] IS NULL OR area_id = ANY ($2))', [id, scopeIds(scope)]))
      .length > 0
  );
}

/** Changes what is given and leaves the rest. */
export async function updateEdge(tx: Tx, id: string, change: { name?: string | undefined; areaId?: string | undefined }): Promise<void> {
  await tx.execute('UPDATE devices.edges SET name = coalesce($2, name), area_id = coalesce($3, area_id) WHERE id = $1', [
    id,
    change.name ?? null,
    change.areaId ?? null,
  ]);
}

export async function countEdges(tx: Tx, tenantId: string): Promise<number> {
  return Number((await tx.query('SELECT count(*) AS edges FROM devices.edges WHERE tenant_id = $1', [tenantId]))[0]?.edges);
}

/** Locks the edge until the transaction ends; false when the tenant has none such within the scope. */
export async function lockEdge(tx: Tx, id: string, scope: AreaScope): Promise<boolean> {
  const rows = await tx.query('SELECT 1 FROM devices.edges WHERE id = $1 AND ($2::uuid[] IS NULL OR area_id = ANY ($2)) FOR UPDATE', [
    id,
    scopeIds(scope),
  ]);
  return rows.length > 0;
}

/** With everything behind it. */
export async function deleteEdge(tx: Tx, id: string): Promise<void> {
  await tx.execute('DELETE FROM devices.edges WHERE id = $1', [id]);
}

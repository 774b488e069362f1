import type { Tx } from '@star/platform';
import { type SoftwareAttributes, type SoftwareState, softwareAttributeKeys } from '@stardipper/proto';
import type { PackageRow } from './package.store';

export interface AssignedRow extends PackageRow {
  readonly assigned_at: Date;
}

const lockName = (tenantId: string) => `devices.software:${tenantId}`;

/** One assignment of a tenant at a time, and no edge joins it meanwhile. Until the transaction ends. */
export async function lockAssignment(tx: Tx, tenantId: string): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [lockName(tenantId)]);
}

/** Edges join side by side, but not while the assignment changes: they would be in neither the old nor the new one. */
export async function lockAssignmentShared(tx: Tx, tenantId: string): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))', [lockName(tenantId)]);
}

export async function findAssignment(tx: Tx): Promise<AssignedRow | undefined> {
  const rows = await tx.query<AssignedRow>(
    `SELECT p.id, p.title, p.version, p.size_bytes, p.sha256, p.pack, p.created_at, a.assigned_at
     FROM devices.software_assignments a JOIN devices.software_packages p ON p.id = a.package_id`,
  );
  return rows[0];
}

export async function saveAssignment(tx: Tx, tenantId: string, packageId: string): Promise<void> {
  await tx.execute(
    `INSERT INTO devices.software_assignments (tenant_id, package_id) VALUES ($1, $2)
     ON CONFLICT ON CONSTRAINT software_assignments_pkey DO UPDATE
       SET package_id = excluded.package_id, assigned_at = now(), revision = software_assignments.revision + 1, announced = false`,
    [tenantId, packageId],
  );
}

/** Its row stays, for its number to go on from. */
export async function endAssignment(tx: Tx): Promise<void> {
  await tx.execute('UPDATE devices.software_assignments SET package_id = NULL, revision = revision + 1, announced = false');
}

export interface AssignmentToTell {
  readonly tenant_id: string;
  readonly revision: number;
  readonly package_id: string | null;
  readonly title: string | null;
  readonly version: string | null;
  readonly sha256: string | null;
}

/** In a system transaction: those the bus has not been told of, locked, and told of once the transaction ends. */
export async function takeUntoldAssignments(tx: Tx, limit: number): Promise<AssignmentToTell[]> {
  return tx.query<AssignmentToTell>(
    `WITH due AS (
       SELECT tenant_id FROM devices.software_assignments WHERE NOT announced ORDER BY tenant_id LIMIT $1 FOR UPDATE SKIP LOCKED
     ), told AS (
       UPDATE devices.software_assignments a SET announced = true FROM due WHERE a.tenant_id = due.tenant_id RETURNING a.*
     )
     SELECT t.tenant_id, t.revision, t.package_id, p.title, p.version, p.sha256
     FROM told t LEFT JOIN devices.software_packages p ON p.id = t.package_id ORDER BY t.tenant_id`,
    [limit],
  );
}

/** One edge, or `all` of the tenant: attributes and state, in two statements however many edges there are. */
export async function queueEdges(tx: Tx, edgeId: string | 'all', attributes: SoftwareAttributes): Promise<void> {
  const entries = Object.entries(attributes);
  // Locked, so that an edge deleted meanwhile is left out instead of failing all the others.
  const edges = '(SELECT id, tenant_id FROM devices.edges WHERE $1::uuid IS NULL OR id = $1 ORDER BY id FOR KEY SHARE) e';
  const which = edgeId === 'all' ? null : edgeId;
  await tx.execute(
    `INSERT INTO devices.attributes (tenant_id, edge_id, scope, key, value_json)
     SELECT e.tenant_id, e.id, 'SHARED', v.key, v.value_json FROM ${edges} CROSS JOIN unnest($2::text[], $3::text[]) AS v (key, value_json)
     ON CONFLICT ON CONSTRAINT attributes_pkey DO UPDATE SET value_json = excluded.value_json, updated_at = now()`,
    [which, entries.map(([key]) => key), entries.map(([, value]) => JSON.stringify(value))],
  );
  await tx.execute(
    `INSERT INTO devices.edge_software (edge_id, tenant_id, state, queued_at, announced)
     SELECT e.id, e.tenant_id, 'QUEUED', now(), false FROM ${edges}
     ON CONFLICT ON CONSTRAINT edge_software_pkey
     DO UPDATE SET state = 'QUEUED', error = NULL, queued_at = now(), changed_at = now(), announced = false`,
    [which],
  );
}

/** The tenant's edges are to have nothing any more. */
export async function releaseEdges(tx: Tx): Promise<void> {
  await tx.execute(
    `DELETE FROM devices.attributes WHERE edge_id IN (SELECT id FROM devices.edges) AND scope = 'SHARED' AND key = ANY ($1::text[])`,
    [softwareAttributeKeys],
  );
  await tx.execute(
    `UPDATE devices.edge_software SET state = NULL, error = NULL, queued_at = NULL, changed_at = now(), announced = false
     WHERE state IS NOT NULL`,
  );
}

export interface EdgeSoftwareRow {
  readonly edge_id: string;
  readonly tenant_id: string;
  readonly state: SoftwareState | null;
  readonly error: string | null;
  readonly current_title: string | null;
  readonly current_version: string | null;
  readonly queued_at: Date | null;
  readonly reported_at: Date | null;
  readonly changed_at: Date;
  readonly target_title: string | null;
  readonly target_version: string | null;
  readonly assigned_at: Date | null;
}

const row = 's.edge_id, s.tenant_id, s.state, s.error, s.current_title, s.current_version, s.queued_at, s.reported_at, s.changed_at';
const target = `LEFT JOIN devices.software_assignments a ON a.tenant_id = s.tenant_id
     LEFT JOIN devices.software_packages p ON p.id = a.package_id`;

/** In a system transaction: those the bus has not been told of, QUEUED turned into INITIATED. Locked, and told of once the transaction ends. */
export async function takeUnannounced(tx: Tx, limit: number): Promise<EdgeSoftwareRow[]> {
  return tx.query<EdgeSoftwareRow>(
    `WITH due AS (
       SELECT edge_id FROM devices.edge_software WHERE NOT announced ORDER BY edge_id LIMIT $1 FOR UPDATE SKIP LOCKED
     ), s AS (
       UPDATE devices.edge_software e SET announced = true, state = CASE e.state WHEN 'QUEUED' THEN 'INITIATED' ELSE e.state END
       FROM due WHERE e.edge_id = due.edge_id RETURNING e.*
     )
     SELECT ${row}, p.title AS target_title, p.version AS target_version, a.assigned_at FROM s ${target} ORDER BY s.edge_id`,
    [limit],
  );
}

/** The edge's row, locked and made when it was not there; undefined when the edge is gone. */
export async function lockEdgeSoftware(tx: Tx, edgeId: string): Promise<EdgeSoftwareRow | undefined> {
  await tx.execute(
    `INSERT INTO devices.edge_software (edge_id, tenant_id) SELECT id, tenant_id FROM devices.edges WHERE id = $1 FOR KEY SHARE
     ON CONFLICT ON CONSTRAINT edge_software_pkey DO NOTHING`,
    [edgeId],
  );
  const rows = await tx.query<EdgeSoftwareRow>(
    `SELECT ${row}, p.title AS target_title, p.version AS target_version, a.assigned_at FROM devices.edge_software s ${target}
     WHERE s.edge_id = $1 FOR UPDATE OF s`,
    [edgeId],
  );
  return rows[0];
}

export async function saveEdgeSoftware(
  tx: Tx,
  edgeId: string,
  next: Pick<EdgeSoftwareRow, 'state' | 'error' | 'current_title' | 'current_version' | 'reported_at'>,
): Promise<void> {
  await tx.execute(
    `UPDATE devices.edge_software SET state = $2, error = $3, current_title = $4, current_version = $5, reported_at = $6, changed_at = now()
     WHERE edge_id = $1`,
    [edgeId, next.state, next.error, next.current_title, next.current_version, next.reported_at],
  );
}

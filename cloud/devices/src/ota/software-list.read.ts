import type { Tx } from '@star/platform';
import type { EdgeSoftware, SoftwareAssignment, SoftwarePackage, SoftwareState } from '@stardipper/proto';
import { onlineSql } from '../edges/presence.store';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';
import type { PackageRow } from './package.store';

export const shownPackage = (row: PackageRow, assigned: boolean): SoftwarePackage => ({
  id: row.id,
  title: row.title,
  version: row.version,
  sizeBytes: row.size_bytes,
  sha256: row.sha256,
  pack: row.pack,
  assigned,
  createdAt: row.created_at.toISOString(),
});

interface PackageListRow extends PackageRow {
  readonly assigned: boolean;
  readonly cursor_micros: string;
}

const packages = `SELECT p.id, p.title, p.version, p.size_bytes, p.sha256, p.pack, p.created_at, a.package_id IS NOT NULL AS assigned, ${cursorMicros('p')}
  FROM devices.software_packages p LEFT JOIN devices.software_assignments a ON a.package_id = p.id`;

export async function listPackages(
  tx: Tx,
  { cursor, limit }: PageRequest,
): Promise<{ items: SoftwarePackage[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<PackageListRow>(`${packages} WHERE ${afterCondition('p', '$1', '$2')} ORDER BY p.created_at, p.id LIMIT $3`, [
    after.micros,
    after.id,
    limit + 1,
  ]);
  return pageOf(rows, limit, (row) => shownPackage(row, row.assigned));
}

export async function findShownPackage(tx: Tx, id: string): Promise<SoftwarePackage | undefined> {
  const [row] = await tx.query<PackageListRow>(`${packages} WHERE p.id = $1`, [id]);
  return row && shownPackage(row, row.assigned);
}

/** How many of the tenant's edges are how far. */
export async function countEdgesByState(tx: Tx): Promise<SoftwareAssignment['edges']> {
  return tx.query<SoftwareAssignment['edges'][number]>(
    `SELECT coalesce(s.state, 'none') AS state, count(*) AS count
     FROM devices.edges e LEFT JOIN devices.edge_software s ON s.edge_id = e.id GROUP BY 1 ORDER BY 1`,
  );
}

interface EdgeSoftwareListRow {
  id: string;
  name: string;
  online: boolean;
  state: SoftwareState | null;
  error: string | null;
  current_title: string | null;
  current_version: string | null;
  changed_at: Date | null;
  target_title: string | null;
  target_version: string | null;
  cursor_micros: string;
}

const edges = `SELECT e.id, e.name, ${onlineSql('e')} AS online, s.state, s.error, s.current_title, s.current_version, s.changed_at,
    p.title AS target_title, p.version AS target_version, ${cursorMicros('e')}
  FROM devices.edges e LEFT JOIN devices.edge_software s ON s.edge_id = e.id
  LEFT JOIN devices.software_assignments a ON a.tenant_id = e.tenant_id LEFT JOIN devices.software_packages p ON p.id = a.package_id`;

const named = (title: string | null, version: string | null) => (title !== null && version !== null ? { title, version } : null);
const shownEdge = (row: EdgeSoftwareListRow): EdgeSoftware => ({
  edgeId: row.id,
  edgeName: row.name,
  online: row.online,
  assigned: named(row.target_title, row.target_version),
  state: row.state,
  error: row.error,
  current: named(row.current_title, row.current_version),
  changedAt: row.changed_at?.toISOString() ?? null,
});

export async function listEdgeSoftware(
  tx: Tx,
  filter: { state?: SoftwareState | 'none' | undefined },
  { cursor, limit }: PageRequest,
): Promise<{ items: EdgeSoftware[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<EdgeSoftwareListRow>(
    `${edges} WHERE ${afterCondition('e', '$1', '$2')} AND ($3::text IS NULL OR coalesce(s.state, 'none') = $3)
     ORDER BY e.created_at, e.id LIMIT $4`,
    [after.micros, after.id, filter.state ?? null, limit + 1],
  );
  return pageOf(rows, limit, shownEdge);
}

export async function findEdgeSoftware(tx: Tx, edgeId: string): Promise<EdgeSoftware | undefined> {
  const [row] = await tx.query<EdgeSoftwareListRow>(`${edges} WHERE e.id = $1`, [edgeId]);
  return row && shownEdge(row);
}

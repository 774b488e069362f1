import type { Tx } from '@star/platform';
import type { SoftwarePackage } from '@stardipper/proto';

export interface PackageRow {
  readonly id: string;
  readonly title: string;
  readonly version: string;
  readonly size_bytes: number;
  readonly sha256: string;
  readonly pack: SoftwarePackage['pack'];
  readonly created_at: Date;
}

const columns = 'p.id, p.title, p.version, p.size_bytes, p.sha256, p.pack, p.created_at';

/** Locked, so that it is not deleted while it is being assigned. */
export async function lockPackage(tx: Tx, id: string): Promise<PackageRow | undefined> {
  return (await tx.query<PackageRow>(`SELECT ${columns} FROM devices.software_packages p WHERE p.id = $1 FOR KEY SHARE`, [id]))[0];
}

export async function findPackageByVersion(tx: Tx, title: string, version: string): Promise<PackageRow | undefined> {
  const rows = await tx.query<PackageRow>(`SELECT ${columns} FROM devices.software_packages p WHERE p.title = $1 AND p.version = $2`, [
    title,
    version,
  ]);
  return rows[0];
}

export async function countPackages(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ count: number }>('SELECT count(*) AS count FROM devices.software_packages');
  return row?.count ?? 0;
}

/** Undefined when there is one of that title and version already. */
export async function insertPackage(
  tx: Tx,
  tenantId: string,
  row: { id: string; title: string; version: string; sizeBytes: number; sha256: string; pack: SoftwarePackage['pack'] },
): Promise<PackageRow | undefined> {
  const rows = await tx.query<PackageRow>(
    `INSERT INTO devices.software_packages AS p (id, tenant_id, title, version, size_bytes, sha256, pack) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT ON CONSTRAINT software_packages_version DO NOTHING RETURNING ${columns}`,
    [row.id, tenantId, row.title, row.version, row.sizeBytes, row.sha256, row.pack && JSON.stringify(row.pack)],
  );
  return rows[0];
}

/** False when there is none such; violates `software_assignments_package` while it is assigned. */
export async function deletePackage(tx: Tx, id: string): Promise<boolean> {
  return (await tx.execute('DELETE FROM devices.software_packages WHERE id = $1', [id])) > 0;
}

/** The object is to be deleted after so many seconds unless somebody pardons it first. */
export async function doomObject(tx: Tx, tenantId: string, key: string, afterSeconds: number): Promise<void> {
  await tx.execute(
    `INSERT INTO devices.doomed_objects (object_key, tenant_id, delete_after) VALUES ($1, $2, now() + $3 * interval '1 second')
     ON CONFLICT ON CONSTRAINT doomed_objects_pkey DO UPDATE SET delete_after = excluded.delete_after`,
    [key, tenantId, afterSeconds],
  );
}

/** False when it was too late. */
export async function pardonObject(tx: Tx, key: string): Promise<boolean> {
  return (await tx.execute('DELETE FROM devices.doomed_objects WHERE object_key = $1', [key])) > 0;
}

/** Takes what is due, locked until the transaction ends. */
export async function takeDoomedObjects(tx: Tx, limit: number): Promise<{ tenantId: string; key: string }[]> {
  const rows = await tx.query<{ tenant_id: string; object_key: string }>(
    `DELETE FROM devices.doomed_objects WHERE object_key IN (
       SELECT object_key FROM devices.doomed_objects WHERE delete_after <= now() ORDER BY delete_after LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING tenant_id, object_key`,
    [limit],
  );
  return rows.map((row) => ({ tenantId: row.tenant_id, key: row.object_key }));
}

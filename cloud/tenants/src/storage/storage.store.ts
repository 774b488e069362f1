import type { Tx } from '@star/platform';

export interface StorageUsage {
  readonly bytes: number;
  readonly objects: number;
  readonly measured_at: Date;
}

/** Undefined until it was counted once. */
export const findStorageUsage = async (tx: Tx, tenantId: string): Promise<StorageUsage | undefined> =>
  (
    await tx.query<StorageUsage & { [column: string]: unknown }>(
      'SELECT bytes, objects, measured_at FROM tenants.storage_usage WHERE tenant_id = $1',
      [tenantId],
    )
  )[0];

/** Of a tenant that is being removed nothing: counting its objects may have taken longer than its removal. */
export const writeStorageUsage = (tx: Tx, tenantId: string, { bytes, objects, measured_at }: StorageUsage): Promise<number> =>
  tx.execute(
    `INSERT INTO tenants.storage_usage (tenant_id, bytes, objects, measured_at)
     SELECT tenant_id, $2::bigint, $3::bigint, $4::timestamptz FROM tenants.tenants WHERE tenant_id = $1 AND state NOT IN ('opening', 'removing', 'removed') FOR SHARE
     ON CONFLICT ON CONSTRAINT storage_usage_pkey DO UPDATE
       SET bytes = excluded.bytes, objects = excluded.objects, measured_at = excluded.measured_at`,
    [tenantId, bytes, objects, measured_at],
  );

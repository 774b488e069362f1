import type { Tx } from '@star/platform';

/** `settings` as they were written; read them through the schema, which has learned new parts since. */
export interface SettingsRow {
  readonly version: number;
  readonly settings: unknown;
  readonly changed_at: Date;
  readonly changed_by: string;
}

const columns = 'version, settings, changed_at, changed_by';

export const findSettings = async (tx: Tx, tenantId: string): Promise<SettingsRow | undefined> =>
  (await tx.query<SettingsRow>(`SELECT ${columns} FROM tenants.settings WHERE tenant_id = $1`, [tenantId]))[0];

/** Rows touched: none when the version was no longer `from`. */
export async function writeSettings(tx: Tx, tenantId: string, from: number, settings: unknown, by: string): Promise<number> {
  const text = JSON.stringify(settings);
  const written =
    from === 0
      ? await tx.execute(
          `INSERT INTO tenants.settings (tenant_id, version, settings, changed_by) VALUES ($1, 1, $2, $3)
           ON CONFLICT ON CONSTRAINT settings_pkey DO NOTHING`,
          [tenantId, text, by],
        )
      : await tx.execute(
          `UPDATE tenants.settings SET version = version + 1, settings = $3, changed_by = $4, changed_at = now() WHERE tenant_id = $1 AND version = $2`,
          [tenantId, from, text, by],
        );
  if (written === 1)
    await tx.execute('INSERT INTO tenants.settings_history (tenant_id, version, settings, changed_by) VALUES ($1, $2, $3, $4)', [
      tenantId,
      from + 1,
      text,
      by,
    ]);
  return written;
}

/** Again it changes nothing. */
export const insertFirstSettings = (tx: Tx, tenantId: string, settings: unknown, by: string): Promise<number> =>
  writeSettings(tx, tenantId, 0, settings, by);

export async function deleteSettings(tx: Tx, tenantId: string): Promise<void> {
  await tx.execute('DELETE FROM tenants.settings WHERE tenant_id = $1', [tenantId]);
  await tx.execute('DELETE FROM tenants.settings_history WHERE tenant_id = $1', [tenantId]);
}

/** Newest first. */
export const listSettings = (tx: Tx, tenantId: string, before: number | undefined, limit: number): Promise<SettingsRow[]> =>
  tx.query<SettingsRow>(
    `SELECT ${columns} FROM tenants.settings_history WHERE tenant_id = $1 AND ($2::bigint IS NULL OR version < $2)
     ORDER BY version DESC LIMIT $3`,
    [tenantId, before ?? null, limit],
  );

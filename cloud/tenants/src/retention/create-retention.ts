import type { Database, Removal, Retention, Tx } from '@star/platform';
import { recordAudit } from '../audit';
import { parsedSettings } from '../settings/read-settings';
import { findSettings } from '../settings/settings.store';
import { addRemoval, listKeptTenants } from './removal.store';

/** For every service that lets things expire; in every shape, because the services share the database. */
export const createRetention = ({ database }: { readonly database: Database }): Retention => ({
  tenants: () => database.system('retention: tenants', listKeptTenants),
  daysOf: (tenantId) =>
    database.tenant(tenantId, async (tx) => {
      const row = await findSettings(tx, tenantId);
      return { version: row?.version ?? 0, ...parsedSettings(row).retention };
    }),
  record: recordRemoval,
});

/** A line of the report, and one of the audit log with the first batch: a sweep that is broken off is in both. */
async function recordRemoval(tx: Tx, removal: Removal): Promise<void> {
  if (removal.items === 0) return;
  const { tenantId, runId, kind, before, settingsVersion } = removal;
  if (!(await addRemoval(tx, removal))) return;
  const details = { kind, before: before.toISOString(), settingsVersion };
  await recordAudit(tx, { tenantId, username: 'star', action: 'retention.removed', subject: runId, details });
}

import type { BusRecord, Database, FirstTime } from '@star/platform';
import { devicesErrors } from '../devices.errors';
import { signalHubs } from '../hub/hub-channel.store';
import { customerIsOpen, deleteCustomer, writeCustomer } from './customer.store';

/**
 * Handles `tenant.updated.v1`: the boxes of a tenant that is not enabled are sent away, on every hub, and come in again
 * when it is. They keep what they have to report meanwhile.
 */
export const followTenant =
  ({ db, firstTime }: { readonly db: Database; readonly firstTime: FirstTime }) =>
  async (record: BusRecord<'tenant.updated.v1'>): Promise<void> => {
    const { tenantId, name, state } = record.message;
    await db.tenant(tenantId, async (tx) => {
      if (!(await firstTime(tx, 'devices.tenants', record.id))) return;
      if (state === 'removed') await deleteCustomer(tx, tenantId);
      else await writeCustomer(tx, tenantId, name, state);
      if (state !== 'enabled') await signalHubs(tx, { kind: 'tenantClosed', tenantId });
    });
  };

/**
 * Throws `customer.closed`, which a box takes for a server that is not there: it tries again and keeps its credentials,
 * where a refusal would make it forget them.
 */
export async function requireOpenCustomer(db: Database, tenantId: string): Promise<void> {
  if (!(await db.tenant(tenantId, (tx) => customerIsOpen(tx, tenantId)))) throw devicesErrors.error('customer.closed');
}

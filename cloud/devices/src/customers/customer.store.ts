import type { Tx } from '@star/platform';

/** Again it changes nothing. */
export const insertCustomer = (tx: Tx, tenantId: string, name: string): Promise<number> =>
  tx.execute(
    `INSERT INTO devices.customers (tenant_id, name, state) VALUES ($1, $2, 'opening') ON CONFLICT ON CONSTRAINT customers_pkey DO NOTHING`,
    [tenantId, name],
  );

export const writeCustomer = (tx: Tx, tenantId: string, name: string, state: string): Promise<number> =>
  tx.execute(
    `INSERT INTO devices.customers (tenant_id, name, state) VALUES ($1, $2, $3)
     ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE SET name = excluded.name, state = excluded.state, changed_at = now()`,
    [tenantId, name, state],
  );

export const deleteCustomer = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute('DELETE FROM devices.customers WHERE tenant_id = $1', [tenantId]);

/** Whether its boxes may connect. */
export const customerIsOpen = async (tx: Tx, tenantId: string): Promise<boolean> =>
  (await tx.query("SELECT 1 FROM devices.customers WHERE tenant_id = $1 AND state <> 'enabled'", [tenantId])).length === 0;

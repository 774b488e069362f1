import type { BusRecord } from './bus';

/** A batch mixes tenants, and a transaction is one tenant's: the records of each, in their order. */
export function byTenant<R extends Pick<BusRecord, 'tenantId'>>(records: readonly R[]): Map<string, R[]> {
  const tenants = new Map<string, R[]>();
  for (const record of records) {
    const own = tenants.get(record.tenantId);
    if (own) own.push(record);
    else tenants.set(record.tenantId, [record]);
  }
  return tenants;
}

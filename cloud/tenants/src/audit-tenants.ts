import type { Database } from '@star/platform';
import { tenantsWithAudit } from './audit-chain.store';

/** Ids of all tenants that have or had an audit log. */
export const listAuditTenants = (database: Database): Promise<string[]> => database.system('audit: tenants', tenantsWithAudit);

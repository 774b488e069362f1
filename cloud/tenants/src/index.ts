/** Tenants, their users and communities, log-in, and the audit log. */
import { join } from 'node:path';

export { type AuditLine, auditLine, recordAudit } from './audit';
export { createTenant, type NewTenant, type OpenedTenant } from './create-tenant';
export { createTenants, type Tenants } from './create-tenants';
export type { TenantsDeps } from './deps';
export { createTenantLife, type TenantLife, type TenantLifeOptions } from './life/create-tenant-life';
export { firstCommunity } from './life/first-community';
export { platformTenantId } from './life/platform-tenant';
export type { FirstArea, TenantIdentity, TenantLifeDeps } from './life/ports';
export { TenantLifeModule } from './life/tenant-life.module';
export { tenantStates } from './life/tenant-states';
export { usersAsIdentity } from './life/users-as-identity';
export { settingsOf } from './settings/read-settings';
export { tenantErrors } from './tenants.errors';
export { TenantsModule } from './tenants.module';

/** For `migrate(url, 'tenants', tenantsMigrations)`. */
export const tenantsMigrations = join(__dirname, '../migrations');

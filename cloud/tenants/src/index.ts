/** Tenants, their users, the tree of their areas and the roles granted on it, log-in, and the audit log. */
import { join } from 'node:path';

export { type CheckApiKeysDeps, checkApiKeys } from './api-keys/check-api-keys';
export type { Hanging, HangsOnAreas } from './areas/ports';
export { type HeldArea, holdArea } from './areas/read-areas';
export { recordAudit } from './audit';
export { AuditModule } from './audit.module';
export { type HeadDocument, readHeadFiles } from './audit-heads';
export { createSeal, createSealChecker } from './audit-seal';
export { listAuditTenants } from './audit-tenants';
export { type Audit as AuditLog, type AuditOptions, createAudit } from './create-audit';
export { createTenants, type Tenants } from './create-tenants';
export type { TenantsDeps } from './deps';
export { admitCaller } from './life/admit-caller';
export { createTenantLife, type TenantLife, type TenantLifeOptions } from './life/create-tenant-life';
export { firstArea } from './life/first-area';
export type { FirstArea, TenantIdentity, TenantLifeDeps } from './life/ports';
export { TenantLifeModule } from './life/tenant-life.module';
export { createRetention } from './retention/create-retention';
export { settingsOf } from './settings/read-settings';
export { requireStorage } from './storage/require-storage';
export { tenantErrors } from './tenants.errors';
export { TenantsModule } from './tenants.module';
export { type AuditProblem, type AuditVerdict, verifyAudit } from './verify-audit';

/** For `migrate(url, 'tenants', tenantsMigrations)`. */
export const tenantsMigrations = join(__dirname, '../migrations');

import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import { type Database, loadSigningKey, openDiskObjects } from '@star/platform';
import { AuditModule, createAudit, type Tenants, TenantsModule } from '../../src';

@Module({})
class TenantsAndAudit {}

/** Tenants and the audit log in one application, as Star has them; nothing is linked or exported. `folder` is the test's own. */
export async function withAudit(tenants: Tenants, database: Database, folder: string): Promise<DynamicModule> {
  const objects = await openDiskObjects({ folder: join(folder, 'objects'), secret: 's'.repeat(32), publicUrl: 'http://star.test' });
  const key = await loadSigningKey(join(folder, 'audit.json'));
  const audit = createAudit({ database, objects, key, headsFolder: join(folder, 'heads') });
  return { module: TenantsAndAudit, imports: [TenantsModule.forRoot(tenants), AuditModule.forRoot(audit)] };
}

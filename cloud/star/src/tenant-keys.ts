import { createTenantKeys, type Database, type Log, openDatabase, type TenantKeys } from '@star/platform';
import { sealOldEmbeddings } from '@star/search';
import { recordAudit } from '@star/tenants';
import { openObjects } from './objects';
import { lastingSecret } from './secrets';

export interface OpenTenantKeys extends TenantKeys {
  /** Connections of their own: objects are written inside transactions, which must not wait for each other's. */
  readonly database: Database;
  close(): Promise<void>;
}

/** Keys of the tenants, sealed by the installation's key in the data folder. */
export async function openTenantKeys(data: string, databaseUrl: string, log: Log): Promise<OpenTenantKeys> {
  const installationKey = await lastingSecret(data, 'tenants');
  const database = openDatabase({ url: databaseUrl, poolSize: 2, log });
  return { ...createTenantKeys({ database, installationKey, audit: recordAudit }), database, close: () => database.close() };
}

/** Seals what an earlier Star left unsealed; to be done before any service runs. */
export async function sealWhatIsOld(data: string, databaseUrl: string, log: Log): Promise<void> {
  const keys = await openTenantKeys(data, databaseUrl, log);
  try {
    const embeddings = await sealOldEmbeddings({ database: keys.database, tenantKeys: keys });
    const objects = await (await openObjects(data, 'http://127.0.0.1', keys)).sealOld();
    if (embeddings + objects > 0) log.info({ embeddings, objects }, 'sealed what an earlier Star had left unsealed');
  } finally {
    await keys.close();
  }
}

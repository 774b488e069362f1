import { hkdfSync, randomBytes } from 'node:crypto';
import { SecretBox } from '../config/secret-box';
import { defineErrors } from '../errors/app-error';
import type { Audit } from '../identity/audit';
import type { Database } from '../postgres/database';
import { eraseTenantKey, findTenantKey, keepTenantKey, lockTenantKeys, writeTenantKey } from './tenant-key.store';

export const tenantKeyErrors = defineErrors({
  /** The tenant's key was erased; what it had sealed cannot be read by anybody. */
  'tenant.erased': 'gone',
});

/** A key per tenant, for faces at rest: photos, crops, questions, embeddings. Erasing it erases them all. */
export interface TenantKeys {
  /** 32 bytes, made at the first use. Throws `tenant.erased`. */
  keyOf(tenantId: string): Promise<Buffer>;
  /** For small things of one kind: under a key from the tenant's that serves nothing else. Throws `tenant.erased`. */
  boxOf(tenantId: string, purpose: string): Promise<SecretBox>;
  /** For good, also of a tenant that had none yet; again it does nothing. This process stops at once, others within `freshMs`. */
  eraseTenantKey(tenantId: string): Promise<void>;
}

export interface TenantKeysOptions {
  /** A pool of its own where objects are written inside transactions: a key must not wait for their connections. */
  readonly database: Database;
  /** Seals the tenants' keys: 32 bytes, kept outside of the database, the same on every replica. */
  readonly installationKey: Buffer;
  readonly audit: Audit;
  /** How long a key is used without asking whether it was erased; 10 s unless told. */
  readonly freshMs?: number;
  readonly nowMs?: () => number;
}

/** Keys in memory at once; with more tenants than that those asked for the longest ago are asked for again. */
const most = 1000;

/** Keys of tenants, in `platform.tenant_keys`. */
export function createTenantKeys({ database, installationKey, audit, freshMs = 10_000, nowMs = Date.now }: TenantKeysOptions): TenantKeys {
  const box = new SecretBox(installationKey);
  const known = new Map<string, { readonly key: Promise<Buffer>; readonly until: number }>();
  const read = (tenantId: string) =>
    database.tenant(tenantId, async (tx) => {
      const row = (await findTenantKey(tx, tenantId)) ?? (await keepTenantKey(tx, tenantId, box.sealBytes(randomBytes(32), tenantId)));
      if (!row.sealed_key) throw tenantKeyErrors.error('tenant.erased');
      return box.openBytes(row.sealed_key, tenantId);
    });
  const keyOf = (tenantId: string): Promise<Buffer> => {
    const found = known.get(tenantId);
    if (found && nowMs() < found.until) return found.key;
    known.delete(tenantId);
    for (const [oldest] of known) {
      if (known.size < most) break;
      known.delete(oldest);
    }
    const key = read(tenantId);
    const entry = { key, until: nowMs() + freshMs };
    known.set(tenantId, entry);
    // A failure is not remembered: the database may be back at the next call.
    key.catch(() => known.get(tenantId) === entry && known.delete(tenantId));
    return key;
  };
  return {
    keyOf,
    boxOf: async (tenantId, purpose) => new SecretBox(Buffer.from(hkdfSync('sha256', await keyOf(tenantId), '', `star-${purpose}-1`, 32))),
    eraseTenantKey: async (tenantId) => {
      await database.tenant(tenantId, async (tx) => {
        if ((await eraseTenantKey(tx, tenantId)) > 0)
          await audit(tx, { tenantId, username: 'star', action: 'tenant.key_erased', subject: tenantId });
      });
      known.delete(tenantId);
    },
  };
}

/**
 * Seals every tenant's key anew, for another installation key; all or none, answers how many. Afterwards `from` opens
 * none, not even in old copies of the table. No process may use either key meanwhile. Throws when one opens with neither.
 */
export const rewrapTenantKeys = (database: Database, from: Buffer, to: Buffer): Promise<number> =>
  database.system('seal the keys of tenants anew', async (tx) => {
    const [before, after] = [new SecretBox(from), new SecretBox(to)];
    const rows = await lockTenantKeys(tx);
    for (const { tenant_id: tenantId, sealed_key: sealed } of rows)
      await writeTenantKey(tx, tenantId, after.sealBytes(opened(before, after, sealed, tenantId), tenantId));
    return rows.length;
  });

/** By the later key where an earlier run got as far as that and died. */
function opened(before: SecretBox, after: SecretBox, sealed: Buffer, tenantId: string): Buffer {
  try {
    return before.openBytes(sealed, tenantId);
  } catch {
    return after.openBytes(sealed, tenantId);
  }
}

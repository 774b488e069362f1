import { authErrors, type Caller, type Database, type TokenVerifier } from '@star/platform';
import { hashKey, isKey } from './api-key';
import { type ApiKeyRow, findApiKey, noteUse } from './api-key.store';

export interface CheckApiKeysDeps {
  readonly database: Database;
  readonly now: () => Date;
  /** How long an answer of the table is trusted, and so how long a revoked key may live on; 2 s unless told. */
  readonly keepMs?: number;
}

const useNoteMs = 60_000;
/** Strangers may try keys without end. */
const maxKept = 10_000;

/**
 * A TokenVerifier for API keys. Each replica asks the table at most once per key and `keepMs`, without being told of
 * changes: a revoked key stops everywhere in that time, whatever becomes of messages between replicas.
 */
export function checkApiKeys({ database, now, keepMs = 2000 }: CheckApiKeysDeps): TokenVerifier {
  const kept = new Map<string, { readonly untilMs: number; readonly found: Promise<ApiKeyRow | undefined> }>();

  const look = (hash: Buffer): Promise<ApiKeyRow | undefined> =>
    database.system('check an api key', async (tx) => {
      const row = await findApiKey(tx, hash);
      const minuteAgo = new Date(now().getTime() - useNoteMs);
      if (row && (row.last_used_at === null || row.last_used_at < minuteAgo)) await noteUse(tx, row.id, now(), minuteAgo);
      return row;
    });

  const find = (hash: Buffer): Promise<ApiKeyRow | undefined> => {
    const name = hash.toString('base64');
    const nowMs = now().getTime();
    const known = kept.get(name);
    if (known && known.untilMs > nowMs) return known.found;
    const found = look(hash);
    kept.delete(name);
    kept.set(name, { untilMs: nowMs + keepMs, found });
    // The oldest are at the front.
    for (const [old] of kept) {
      if (kept.size <= maxKept) break;
      kept.delete(old);
    }
    found.catch(() => kept.delete(name));
    return found;
  };

  return {
    verify: async (key) => {
      const row = isKey(key) ? await find(hashKey(key)) : undefined;
      if (!row) throw authErrors.error('auth.token_invalid');
      if (row.expires_at && row.expires_at <= now()) throw authErrors.error('auth.token_expired');
      return callerOf(row);
    },
  };
}

const callerOf = (row: ApiKeyRow): Caller => ({
  tenantId: row.tenant_id,
  userId: row.id,
  username: `api-key:${row.name}`,
  roles: [],
  permissions: row.permissions,
  keyMadeBy: row.created_by,
});

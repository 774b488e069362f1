import { randomUUID } from 'node:crypto';
import { type Caller, type Database, holds, who } from '@star/platform';
import type { ApiKey, CreatedApiKey, createApiKey, Page } from '@stardipper/proto';
import { z } from 'zod';
import { recordAudit } from '../audit';
import { tenantError } from '../tenants.errors';
import { hashKey, makeKey, prefixOf } from './api-key';
import { type ApiKeyRow, countWorkingKeys, insertApiKey, listApiKeys, revokeApiKey } from './api-key.store';

export interface ApiKeysDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/** More programs than this are not looked after by anybody. */
export const maxKeys = 100;

/**
 * The key is in this answer and nowhere else. Nobody gives a key what he does not hold himself: `api_key.not_held`;
 * also throws `api_key.expired` and `api_key.too_many`.
 */
export const issueApiKey =
  ({ database, now }: ApiKeysDeps) =>
  async (caller: Caller, input: z.infer<typeof createApiKey>): Promise<CreatedApiKey> => {
    const missing = input.permissions.filter((permission) => !holds(caller, permission));
    if (missing.length > 0) throw tenantError('api_key.not_held', { permissions: missing });
    const expiresAt = input.expiresAt === null ? null : new Date(input.expiresAt);
    if (expiresAt && expiresAt <= now()) throw tenantError('api_key.expired');
    const key = makeKey();
    const { tenantId, username } = caller;
    const made = { tenantId, id: randomUUID(), name: input.name, hash: hashKey(key), prefix: prefixOf(key), createdBy: username };
    const row = await database.tenant(tenantId, async (tx) => {
      if ((await countWorkingKeys(tx, now())) >= maxKeys) throw tenantError('api_key.too_many', { max: maxKeys });
      const details = { name: input.name, permissions: input.permissions, expiresAt: input.expiresAt };
      await recordAudit(tx, { ...who(caller), action: 'api_key.created', subject: made.id, details });
      return insertApiKey(tx, { ...made, permissions: input.permissions, expiresAt });
    });
    return { ...shown(row), key };
  };

const position = z.tuple([z.iso.datetime(), z.uuid()]);

/** Newest first, those that no longer work as well. A cursor that is none throws a ZodError: `request.invalid`. */
export const readApiKeys =
  ({ database }: ApiKeysDeps) =>
  async (caller: Caller, query: { cursor?: string | undefined; limit: number }): Promise<Page<ApiKey>> => {
    const before = query.cursor === undefined ? undefined : position.parse(Buffer.from(query.cursor, 'base64url').toString().split(' '));
    const rows = await database.tenant(caller.tenantId, (tx) => listApiKeys(tx, before, query.limit + 1));
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    const nextCursor = rows.length > page.length && last ? `${last.created_at.toISOString()} ${last.id}` : null;
    return { items: page.map(shown), nextCursor: nextCursor && Buffer.from(nextCursor).toString('base64url') };
  };

/** Stops everywhere within `keepMs` of `checkApiKeys`. Again is no error. Throws `api_key.not_found`. */
export const withdrawApiKey =
  ({ database, now }: ApiKeysDeps) =>
  (caller: Caller, id: string): Promise<void> =>
    database.tenant(caller.tenantId, async (tx) => {
      const before = await revokeApiKey(tx, id, now());
      if (!before) throw tenantError('api_key.not_found', { id });
      if (before.revoked_at === null)
        await recordAudit(tx, { ...who(caller), action: 'api_key.revoked', subject: id, details: { name: before.name } });
    });

const text = (at: Date | null) => at?.toISOString() ?? null;

const shown = (row: ApiKeyRow): ApiKey => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  permissions: row.permissions,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  expiresAt: text(row.expires_at),
  lastUsedAt: text(row.last_used_at),
  revokedAt: text(row.revoked_at),
});

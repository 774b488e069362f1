import { randomUUID } from 'node:crypto';
import { type Caller, isUniqueViolation } from '@star/platform';
import type { Community, Page } from '@stardipper/proto';
import { z } from 'zod';
import { recordAudit } from './audit';
import type { TenantsDeps } from './deps';
import { type CommunityRow, communityExists, insertCommunity, listCommunities } from './tenant.store';
import { tenantError } from './tenants.errors';

/** Throws `community.name_taken`. */
export const createCommunity =
  (deps: Pick<TenantsDeps, 'database'>) =>
  async (caller: Caller, input: { name: string }): Promise<Community> => {
    try {
      return await deps.database.tenant(caller.tenantId, async (tx) => {
        const row = await insertCommunity(tx, caller.tenantId, randomUUID(), input.name);
        await recordAudit(tx, { ...caller, action: 'community.created', subject: row.id });
        return shown(row);
      });
    } catch (error) {
      if (isUniqueViolation(error, 'communities_name')) throw tenantError('community.name_taken', { name: input.name });
      throw error;
    }
  };

const position = z.tuple([z.iso.datetime(), z.uuid()]);

/** Newest first. A cursor that is none throws a ZodError, which the HTTP side answers as `request.invalid`. */
export const readCommunities =
  (deps: Pick<TenantsDeps, 'database'>) =>
  async (caller: Caller, query: { cursor?: string; limit: number }): Promise<Page<Community>> => {
    const before = query.cursor === undefined ? undefined : position.parse(Buffer.from(query.cursor, 'base64url').toString().split(' '));
    const rows = await deps.database.tenant(caller.tenantId, (tx) => listCommunities(tx, before, query.limit + 1));
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map(shown),
      nextCursor:
        rows.length > page.length && last ? Buffer.from(`${last.created_at.toISOString()} ${last.id}`).toString('base64url') : null,
    };
  };

/** For services that hang things into a community and must know that it is the tenant's. */
export const hasCommunity =
  (deps: Pick<TenantsDeps, 'database'>) =>
  (tenantId: string, communityId: string): Promise<boolean> =>
    deps.database.tenant(tenantId, (tx) => communityExists(tx, communityId));

const shown = (row: CommunityRow): Community => ({ id: row.id, name: row.name, createdAt: row.created_at.toISOString() });

import { randomUUID } from 'node:crypto';
import { type Caller, inScope, who } from '@star/platform';
import type { createGrant, Grant, Page } from '@stardipper/proto';
import { z } from 'zod';
import { afterCursor, cursorAt } from '../age-cursor';
import type { AreasDeps } from '../areas/deps';
import { holdArea } from '../areas/read-areas';
import { recordAudit } from '../audit';
import { tenantError } from '../tenants.errors';
import { announceAreas } from './area-access.store';
import { deleteGrantRow, findGrant, type GrantFilter, type GrantRow, insertGrant, listGrants } from './grant.store';

export interface GrantsDeps extends Omit<AreasDeps, 'hanging'> {
  /** A user of the tenant by id: a question for whoever keeps the users. */
  readonly findUser: (tenantId: string, userId: string) => Promise<{ readonly username: string } | undefined>;
}

const shown = (row: GrantRow): Grant => ({
  id: row.id,
  userId: row.user_id,
  username: row.username,
  areaId: row.area_id,
  role: row.role,
  createdAt: row.created_at.toISOString(),
});

/** Holds on the area and everything below it, from the next request on. Throws `user.unknown`, `area.not_found`, `grant.exists`. */
export const giveGrant =
  (deps: GrantsDeps) =>
  async (caller: Caller, input: z.infer<typeof createGrant>): Promise<Grant> => {
    const { tenantId } = caller;
    const scope = await deps.areasVisibleTo(caller, 'grants.write');
    const user = await deps.findUser(tenantId, input.userId);
    if (!user) throw tenantError('user.unknown', { userId: input.userId });
    const row = await deps.database.tenant(tenantId, async (tx) => {
      const area = await holdArea(tx, input.areaId);
      if (!area || !inScope(scope, area.id)) throw tenantError('area.not_found', { areaId: input.areaId });
      const given = { id: randomUUID(), user_id: input.userId, username: user.username, area_id: area.id, role: input.role };
      const written = await insertGrant(tx, tenantId, given);
      if (!written) throw tenantError('grant.exists', { username: user.username, role: input.role });
      const { userId, role } = input;
      await recordAudit(tx, { ...who(caller), action: 'grant.given', subject: given.id, details: { userId, areaId: area.id, role } });
      await announceAreas(tx, tenantId);
      return written;
    });
    deps.forgetAreas(tenantId);
    return shown(row);
  };

/** Throws `grant.not_found`. */
export const withdrawGrant =
  (deps: GrantsDeps) =>
  async (caller: Caller, grantId: string): Promise<void> => {
    const { tenantId } = caller;
    const scope = await deps.areasVisibleTo(caller, 'grants.write');
    await deps.database.tenant(tenantId, async (tx) => {
      const row = await findGrant(tx, grantId);
      if (!row || !inScope(scope, row.area_id)) throw tenantError('grant.not_found', { grantId });
      await deleteGrantRow(tx, grantId);
      const details = { userId: row.user_id, areaId: row.area_id, role: row.role };
      await recordAudit(tx, { ...who(caller), action: 'grant.withdrawn', subject: grantId, details });
      await announceAreas(tx, tenantId);
    });
    deps.forgetAreas(tenantId);
  };

/** Oldest first. A cursor that is none throws a ZodError, which the HTTP side answers as `request.invalid`. */
export const readGrants =
  (deps: GrantsDeps) =>
  async (caller: Caller, query: GrantFilter & { cursor?: string; limit: number }): Promise<Page<Grant>> => {
    const after = afterCursor(query.cursor);
    const scope = await deps.areasVisibleTo(caller, 'grants.read');
    const rows = await deps.database.tenant(caller.tenantId, (tx) => listGrants(tx, caller.tenantId, scope, query, after, query.limit + 1));
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map(shown),
      nextCursor: rows.length > page.length && last ? cursorAt(last) : null,
    };
  };

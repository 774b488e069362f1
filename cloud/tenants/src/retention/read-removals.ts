import type { Database } from '@star/platform';
import type { Page, ShownRemoval } from '@stardipper/proto';
import { afterCursor, cursorAt } from '../age-cursor';
import { listRemovals } from './removal.store';

/** What was removed of a tenant's things because it was past its time; newest first. */
export const readRemovals =
  ({ database }: { readonly database: Database }) =>
  async (tenantId: string, query: { cursor?: string; limit: number }): Promise<Page<ShownRemoval>> => {
    const rows = await database.tenant(tenantId, (tx) => listRemovals(tx, tenantId, afterCursor(query.cursor), query.limit + 1));
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map((row) => ({
        id: row.id,
        kind: row.kind,
        removedAt: row.removed_at.toISOString(),
        before: row.before_at.toISOString(),
        settingsVersion: row.settings_version,
        items: row.items,
        bytes: row.bytes,
      })),
      nextCursor: rows.length > page.length && last ? cursorAt(last) : null,
    };
  };

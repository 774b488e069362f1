import { type AreaScope, type AreasVisibleTo, type Database, holds } from '@star/platform';
import { type Permission, permissionsOfRole } from '@stardipper/proto';
import { areasChannel, areasOfUser } from './area-access.store';

/** Bounds what one process remembers; whoever came first is forgotten first. */
const maxRemembered = 10_000;

interface Remembered {
  readonly untilMs: number;
  readonly areas: Promise<ReadonlyMap<Permission, ReadonlySet<string>>>;
}

export interface AreaAccess {
  readonly areasVisibleTo: AreasVisibleTo;
  forget(tenantId: string): void;
  /** Hears of other processes' changes until `signal` aborts; without it what is remembered is at most `keepMs` old. */
  listen(signal: AbortSignal): Promise<void>;
}

const nowhere: ReadonlySet<string> = new Set();

/**
 * Who holds what where. A role of the token holds in the whole tenant; a role granted on an area holds on it and below. The
 * answer is remembered for `keepMs` and forgotten when the tenant's tree or grants change, in every process.
 */
export function createAreaAccess({
  database,
  keepMs = 5_000,
  nowMs = Date.now,
}: {
  database: Database;
  keepMs?: number;
  nowMs?: () => number;
}): AreaAccess {
  const byUser = new Map<string, Remembered>();

  async function read(tenantId: string, userId: string): Promise<ReadonlyMap<Permission, ReadonlySet<string>>> {
    const grants = await database.tenant(tenantId, (tx) => areasOfUser(tx, tenantId, userId));
    const areas = new Map<Permission, Set<string>>();
    for (const { role, area_ids } of grants) {
      for (const permission of permissionsOfRole[role]) {
        const own = areas.get(permission) ?? new Set<string>();
        for (const id of area_ids) own.add(id);
        areas.set(permission, own);
      }
    }
    return areas;
  }

  function areasOf(tenantId: string, userId: string): Remembered['areas'] {
    const key = `${tenantId}:${userId}`;
    const known = byUser.get(key);
    if (known && known.untilMs > nowMs()) return known.areas;
    const areas = read(tenantId, userId);
    byUser.delete(key);
    const [oldest] = byUser.keys();
    if (byUser.size >= maxRemembered && oldest !== undefined) byUser.delete(oldest);
    // A read that began before a change leaves with the entry that the change removes, so it is never kept for longer.
    byUser.set(key, { untilMs: nowMs() + keepMs, areas });
    areas.catch(() => {
      if (byUser.get(key)?.areas === areas) byUser.delete(key);
    });
    return areas;
  }

  const forget = (tenantId: string) => {
    for (const key of byUser.keys()) if (key.startsWith(`${tenantId}:`)) byUser.delete(key);
  };

  return {
    forget,
    async areasVisibleTo(caller, permission): Promise<AreaScope> {
      if (holds(caller, permission)) return 'all';
      // A program has what it was given and is granted nothing on areas.
      if (caller.permissions) return nowhere;
      const { tenantId, userId } = caller;
      return (await areasOf(tenantId, userId)).get(permission) ?? nowhere;
    },
    listen: (signal) =>
      database.listen(
        areasChannel,
        (tenantId) => {
          // Empty after a reconnect: anything may have changed meanwhile.
          if (tenantId === '') byUser.clear();
          else forget(tenantId);
        },
        signal,
      ),
  };
}

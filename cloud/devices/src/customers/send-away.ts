import type { Database, Log } from '@star/platform';
import { closeReasons } from '../hub/connection';
import type { DeviceSession } from '../hub/device-session';
import { customerIsOpen } from './customer.store';

/** Whoever had been let in when the tenant was closed is in by then. */
const logInTakesMs = 5_000;

/** Sends away this hub's boxes of tenants that are not enabled any more. */
export function sendAwayClosed(deps: { readonly db: Database; readonly log: Log; readonly sessions: () => Iterable<DeviceSession> }) {
  const look = async (tenantId: string): Promise<void> => {
    if (await deps.db.tenant(tenantId, (tx) => customerIsOpen(tx, tenantId))) return;
    for (const session of [...deps.sessions()]) if (session.edge.tenantId === tenantId) session.close(closeReasons.administrativeAction);
  };
  const tryToLook = (tenantId: string): Promise<void> =>
    look(tenantId).catch((error: unknown) => deps.log.warn({ err: error, tenantId }, 'whether a tenant is enabled could not be read'));
  return {
    /** A tenant was closed. Looked at again later, for a box that was just logging in. */
    closed: (tenantId: string): void => {
      void tryToLook(tenantId);
      setTimeout(() => void tryToLook(tenantId), logInTakesMs).unref();
    },
    /** What was said meanwhile was not heard. */
    lookAtAll: (): void => {
      for (const tenantId of new Set([...deps.sessions()].map((session) => session.edge.tenantId))) void tryToLook(tenantId);
    },
  };
}

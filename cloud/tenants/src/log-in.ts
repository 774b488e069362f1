import { createHash } from 'node:crypto';
import type { Caller } from '@star/platform';
import type { Session } from '@stardipper/proto';
import { recordAudit } from './audit';
import type { TenantsDeps } from './deps';
import { lockMs } from './lock-out';
import { verifyPassword } from './password';
import { countTry, findUser, findUserByName, forgetFailures, lockedUntil, lockUntil, sweepFailures, type UserRow } from './tenant.store';
import { tenantError } from './tenants.errors';

const rememberFailuresMs = 86_400_000;

/**
 * A token for the right name and password. `session.wrong_credentials` takes the same time and looks the same for an
 * unknown name and a wrong password; after repeated failures a name, known or not, is `session.locked` for a while
 * (`retryAfterS`), and then not even the right password is looked at.
 */
export const logIn =
  (deps: TenantsDeps) =>
  async (input: { username: string; password: string }): Promise<Session> => {
    const name = createHash('sha256').update(input.username.toLowerCase()).digest('hex');
    await admitTry(deps, name);
    const user = await deps.database.system('log in', (tx) => findUserByName(tx, input.username));
    const right = await verifyPassword(input.password, user?.password_hash);
    if (!user) throw tenantError('session.wrong_credentials');
    const entry = { tenantId: user.tenant_id, userId: user.id, username: user.username, subject: user.id };
    if (!right) {
      await deps.database.tenant(user.tenant_id, (tx) => recordAudit(tx, { ...entry, action: 'session.refused' }));
      throw tenantError('session.wrong_credentials');
    }
    await deps.database.system('log in', (tx) => forgetFailures(tx, name));
    await deps.database.tenant(user.tenant_id, (tx) => recordAudit(tx, { ...entry, action: 'session.opened' }));
    const { token, expiresAt } = await deps.tokens.issue({
      tenantId: user.tenant_id,
      userId: user.id,
      username: user.username,
      roles: user.roles,
    });
    return { token, expiresAt: expiresAt.toISOString(), user: shownUser(user) };
  };

async function admitTry(deps: TenantsDeps, name: string): Promise<void> {
  const now = deps.now();
  const until = await deps.database.system('log in', async (tx) => {
    await sweepFailures(tx, new Date(now.getTime() - rememberFailuresMs));
    const failures = await countTry(tx, name, now);
    if (failures === undefined) return lockedUntil(tx, name);
    const waitMs = lockMs(failures);
    if (waitMs > 0) await lockUntil(tx, name, new Date(now.getTime() + waitMs));
    return undefined;
  });
  if (until) throw tenantError('session.locked', { retryAfterS: Math.max(1, Math.ceil((until.getTime() - now.getTime()) / 1_000)) });
}

const shownUser = (user: UserRow): Session['user'] => ({
  id: user.id,
  tenantId: user.tenant_id,
  tenantName: user.tenant_name,
  username: user.username,
  displayName: user.display_name,
  roles: user.roles,
});

/** Who the token says I am, as the table knows me now. Throws `user.not_found` when I was removed. */
export const whoAmI =
  (deps: TenantsDeps) =>
  async (caller: Caller): Promise<Session['user']> => {
    const user = await deps.database.tenant(caller.tenantId, (tx) => findUser(tx, caller.userId));
    if (!user) throw tenantError('user.not_found');
    return shownUser(user);
  };

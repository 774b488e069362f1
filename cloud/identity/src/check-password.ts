import type { IdentityDeps } from './deps';
import { lockMs } from './lock-out';
import { countTry, forgetFailures, forgiveTry, keepFailure, lockedUntil, lockUntil, sweepFailures } from './lock-out.store';
import { verifyPassword } from './password';
import { nameHash } from './user-admin';
import { findUserByName, type UserRow } from './users.store';

const rememberFailuresMs = 86_400_000;

/** Why a log-in does not go on: words of the pages, too. */
export type Refusal = { readonly why: 'wrong' } | { readonly why: 'locked'; readonly retryAfterS: number };

/**
 * Looks at one try to log in with `name`, which `right` judges. Tries are counted before they are looked at; after
 * repeated failures a name, known or not, is locked for a while, and then not even what is right is looked at. What is
 * right does not count, but the failures before it are forgotten by `forgetTries` alone, at the end of a whole log-in:
 * or else a known password would buy guesses at the second factor.
 */
export async function tried(
  deps: Pick<IdentityDeps, 'database' | 'now'>,
  name: string,
  right: () => Promise<boolean>,
): Promise<Refusal | undefined> {
  const now = deps.now();
  const hash = nameHash(name);
  const until = await deps.database.system('log in', async (tx) => {
    await sweepFailures(tx, new Date(now.getTime() - rememberFailuresMs));
    const failures = await countTry(tx, hash, now);
    if (failures === undefined) return lockedUntil(tx, hash);
    const waitMs = lockMs(failures);
    if (waitMs > 0) await lockUntil(tx, hash, new Date(now.getTime() + waitMs));
    return undefined;
  });
  if (until) return { why: 'locked', retryAfterS: Math.max(1, Math.ceil((until.getTime() - now.getTime()) / 1_000)) };
  if (!(await right())) return { why: 'wrong' };
  await deps.database.system('log in', (tx) => forgiveTry(tx, hash));
  return undefined;
}

export const forgetTries = (deps: Pick<IdentityDeps, 'database'>, name: string): Promise<number> =>
  deps.database.system('log in', (tx) => forgetFailures(tx, nameHash(name)));

/**
 * The user with this name and password. `wrong` takes the same time and looks the same for an unknown name, a wrong
 * password and a disabled user.
 */
export async function checkPassword(
  deps: Pick<IdentityDeps, 'database' | 'now' | 'audit'>,
  input: { readonly username: string; readonly password: string },
): Promise<UserRow | Refusal> {
  let user: UserRow | undefined;
  const refusal = await tried(deps, input.username, async () => {
    user = await deps.database.system('log in', (tx) => findUserByName(tx, input.username));
    return (await verifyPassword(input.password, user?.password_hash)) && user?.enabled === true;
  });
  if (!refusal && user) return user;
  if (user) await auditLogIn(deps, user, 'session.refused');
  // As long as writing to the audit log takes, or the time would tell that there is no such user.
  else if (refusal?.why === 'wrong') await deps.database.system('log in', (tx) => keepFailure(tx, nameHash(input.username)));
  return refusal ?? { why: 'wrong' };
}

export function auditLogIn(
  deps: Pick<IdentityDeps, 'database' | 'audit'>,
  user: UserRow,
  action: 'session.refused' | 'session.opened',
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const entry = { tenantId: user.tenant_id, userId: user.id, username: user.username, subject: user.id, action, details };
  return deps.database.tenant(user.tenant_id, (tx) => deps.audit(tx, entry));
}

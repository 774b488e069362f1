import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from '@star/platform';
import type { Tenants } from '@star/tenants';
import type { Identity } from '../../src/identity';

/** Every change of a user that her tokens must not outlive. */
export const endingChanges = (
  tenants: Tenants,
): readonly (readonly [what: string, change: (admin: Caller, userId: string) => Promise<unknown>])[] => [
  ['is disabled', (admin, id) => tenants.changeUser(admin, id, { enabled: false })],
  ['loses a role', (admin, id) => tenants.changeUser(admin, id, { roles: ['viewer'] })],
  ['is deleted', (admin, id) => tenants.deleteUser(admin, id)],
  ['gets another password', (admin, id) => tenants.resetPassword(admin, id)],
  ['loses her second factor', (admin, id) => tenants.resetSecondFactor(admin, id)],
  ['is logged out everywhere', (admin, id) => tenants.endSessions(admin, id)],
  ['logs out everywhere', (admin, id) => tenants.endOwnSessions({ ...admin, userId: id })],
];

/** What a replica says of a token or key: `good`, or why not. */
export const verdict = ({ verifier }: Pick<Identity, 'verifier'>, credential: string): Promise<string> =>
  verifier.verify(credential).then(
    () => 'good',
    (error: unknown) => String((error as { code?: string }).code),
  );

/** By word of the change: what a replica merely remembers, it would believe for far longer than this waits. */
export async function soon(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await what()) return;
    await sleep(10);
  }
  throw new Error('the other replica has not heard of it');
}

/** A user with two roles and a password, in the way of `IdentityAdmin`. */
export async function aUser({ admin }: Pick<Identity, 'admin'>, tenantId: string) {
  const [username, password] = [`user-${randomUUID().slice(0, 8)}`, 'correct horse 7'];
  const { userId } = await admin.createUser({ tenantId, username, displayName: 'Li', roles: ['operator', 'viewer'], password });
  return { userId, username, password };
}

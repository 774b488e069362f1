import type { Grant } from '@stardipper/proto';
import { listUsers } from '../api/users';
import { useSession } from '../session/session';

interface User {
  id: string;
  username: string;
}

/** More users than this are found by typing a name into the user list instead. */
const most = 1000;

/** Whom a role can be given to: the tenant's users, or, for who may not see those, whoever has one on some area. */
export async function usersToChoose(grants: readonly Grant[]): Promise<User[]> {
  const session = useSession();
  const byId = new Map<string, User>(grants.map((grant) => [grant.userId, { id: grant.userId, username: grant.username }]));
  if (session.user) byId.set(session.user.id, { id: session.user.id, username: session.user.username });
  if (session.may('users.read')) {
    for (let cursor: string | null = null, more = true; more && byId.size < most; ) {
      const page = await listUsers(cursor);
      for (const { id, username } of page.items) byId.set(id, { id, username });
      cursor = page.nextCursor;
      more = cursor !== null;
    }
  }
  return [...byId.values()].sort((a, b) => a.username.localeCompare(b.username));
}

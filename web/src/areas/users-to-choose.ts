import type { Grant, Session } from '@stardipper/proto';

interface User {
  id: string;
  username: string;
}

/** Whom a role can be given to: the reader and everybody who has one on some area. */
export async function usersToChoose(grants: readonly Grant[], self: Session['user'] | undefined): Promise<User[]> {
  const byId = new Map<string, User>(grants.map((grant) => [grant.userId, { id: grant.userId, username: grant.username }]));
  if (self) byId.set(self.id, { id: self.id, username: self.username });
  return [...byId.values()].sort((a, b) => a.username.localeCompare(b.username));
}

import { rolesWithin } from '@stardipper/proto';
import { z } from 'zod';
import type { Caller } from './identity';

/** Longer ones are not tokens of ours; checked before any parsing. */
export const maxTokenLength = 8192;

/** What an access token of Star says, in the words of a Keycloak realm. */
const accessClaims = z.object({
  sub: z.string().min(1).max(128),
  exp: z.number(),
  tenant_id: z.uuid(),
  preferred_username: z.string().min(1).max(256),
  realm_access: z.object({ roles: z.array(z.string().max(128)).max(200) }).default({ roles: [] }),
});

/** Of a token whose signature was right. Throws a ZodError for one that lacks any of it. */
export function callerOfClaims(content: unknown): Caller {
  const { tenant_id, sub, preferred_username, realm_access } = accessClaims.parse(content);
  return { tenantId: tenant_id, userId: sub, username: preferred_username, roles: rolesWithin(tenant_id, realm_access.roles) };
}

import { rolesWithin } from '@stardipper/proto';
import { z } from 'zod';
import type { IssuedToken } from './token-ends';

/** Longer ones are not tokens of ours; checked before any parsing. */
export const maxTokenLength = 8192;

/** What an access token of Star says, in the words of a Keycloak realm. */
const accessClaims = z.object({
  sub: z.string().min(1).max(128),
  exp: z.number(),
  iat: z.number(),
  tenant_id: z.uuid(),
  preferred_username: z.string().min(1).max(256),
  token_mark: z.string().max(64).optional(),
  realm_access: z.object({ roles: z.array(z.string().max(128)).max(200) }).default({ roles: [] }),
});

/** Of a token whose signature was right. Throws a ZodError for one that lacks any of it. */
export function issuedToken(content: unknown): IssuedToken {
  const { tenant_id, sub, preferred_username, realm_access, iat, token_mark } = accessClaims.parse(content);
  const caller = { tenantId: tenant_id, userId: sub, username: preferred_username, roles: rolesWithin(tenant_id, realm_access.roles) };
  return { caller, issuedAtS: iat, ...(token_mark === undefined ? {} : { mark: token_mark }) };
}

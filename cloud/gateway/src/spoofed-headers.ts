import type { IncomingHttpHeaders } from 'node:http';

/** What a client may not claim: who it is, who sent it, or that it was checked already. Kong's file removes the same. */
export const spoofable: readonly string[] = [
  'x-tenant-id',
  'x-tenant',
  'x-user-id',
  'x-user',
  'x-username',
  'x-roles',
  'x-role',
  'x-permissions',
  'x-consumer-id',
  'x-consumer-username',
  'x-credential-identifier',
  'x-authenticated-userid',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method-override',
  'x-real-ip',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-user',
];

/** Removes them in place: services read the token, and nothing behind the entrance may begin to believe one of these. */
export function dropSpoofed(headers: IncomingHttpHeaders): void {
  for (const name of spoofable) delete headers[name];
  for (const name of Object.keys(headers)) if (name.startsWith('x-forwarded-') || name.startsWith('x-star-')) delete headers[name];
}

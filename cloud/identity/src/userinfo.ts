import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TokenVerifier } from '@star/platform';
import { profileClaims } from './claims';
import type { IdentityDeps } from './deps';
import { sendJson } from './raw-http';
import { activeUser } from './realm';

/** Who the bearer of an access token is, as the provider knows her now. */
export const createUserinfo =
  (deps: IdentityDeps, verifier: TokenVerifier) =>
  async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refuse = () => sendJson(response, 401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
    const [, token] = /^Bearer ([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const caller = token === undefined ? undefined : await verifier.verify(token).catch(() => undefined);
    const user = caller && (await activeUser(deps, caller.userId));
    if (!user) return refuse();
    sendJson(response, 200, profileClaims(user));
  };

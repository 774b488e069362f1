import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { granted } from './pass-browser';
import { BridgeRefusal, type Service } from './service';
import { UpstreamFailure, type UpstreamPerson } from './upstream';

const tokenSeconds = 300;

const exchange = z.object({
  grant_type: z.literal('authorization_code'),
  code: z.string(),
  redirect_uri: z.string(),
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
  code_verifier: z.string().max(128).optional(),
});
type Exchange = z.infer<typeof exchange>;

/** The answer of the token endpoint. Everything Keycloak needs is in the id token; the access token opens nothing. Throws `BridgeRefusal`. */
export async function issueToken(service: Service, request: FastifyRequest): Promise<object> {
  const { issuer, signing, options } = service;
  const { person, nonce } = await redeem(service, request);
  const claims = {
    name: person.name,
    ...(person.email && { email: person.email }),
    ...(person.picture && { picture: person.picture }),
    ...(nonce && { nonce }),
  };
  const idToken = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: options.key.kid, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(options.client.id)
    .setSubject(person.subject)
    .setIssuedAt()
    .setExpirationTime(`${tokenSeconds}s`)
    .sign(signing);
  const accessToken = randomBytes(16).toString('hex');
  return { access_token: accessToken, token_type: 'Bearer', expires_in: tokenSeconds, id_token: idToken, scope: 'openid' };
}

async function redeem(service: Service, request: FastifyRequest): Promise<{ person: UpstreamPerson; nonce: string | undefined }> {
  const { name, issuer, redirectUri, upstream, seal, options } = service;
  const input = exchange.safeParse(request.body);
  if (!input.success) throw new BridgeRefusal(400, 'invalid_request');
  checkClient(service, request, input.data);
  const grant = granted.safeParse(await seal.open(`${name}.code`, input.data.code));
  if (!grant.success || input.data.redirect_uri !== redirectUri) throw new BridgeRefusal(400, 'invalid_grant');
  const { code_challenge, nonce, upstreamCode, ip } = grant.data;
  const { code_verifier } = input.data;
  // A verifier without a challenge: somebody took that out of the address the browser was sent to (RFC 9700, 2.1.1).
  const held = code_verifier === undefined ? undefined : sha256(code_verifier).toString('base64url');
  if (held !== code_challenge) throw new BridgeRefusal(400, 'invalid_grant');
  try {
    const person = await upstream.identify(upstreamCode, `${issuer}/callback`);
    options.log.info({ upstream: name, subject: person.subject, ip }, 'logged in with another service');
    return { person, nonce };
  } catch (error) {
    throw refusalOf(service, error, ip);
  }
}

/** What Keycloak is told, and what our log is: the user sees Keycloak's own page, in his language. */
function refusalOf({ name, options }: Service, error: unknown, ip: string): unknown {
  if (!(error instanceof UpstreamFailure)) return error;
  const said = { upstream: name, ip, why: error.why, reason: error.message };
  switch (error.why) {
    case 'code':
    case 'person':
      options.log.warn(said, 'a log-in with another service was refused');
      return new BridgeRefusal(400, 'invalid_grant');
    case 'setup':
      options.log.error(said, 'log-in with another service is set up wrongly');
      return new BridgeRefusal(500, 'server_error');
    default:
      options.log.error(said, 'a service people log in with is away');
      return new BridgeRefusal(503, 'temporarily_unavailable');
  }
}

function checkClient({ name, options }: Service, request: FastifyRequest, body: Exchange): void {
  const [, basic] = /^Basic ([\w+/=-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const [id, secret] = basic
    ? Buffer.from(basic, 'base64').toString().split(':', 2).map(decodeFormText)
    : [body.client_id, body.client_secret];
  const same = (given: string | undefined, right: string) => timingSafeEqual(sha256(given ?? ''), sha256(right));
  if (same(id, options.client.id) && same(secret, options.client.secret.reveal())) return;
  options.log.warn({ upstream: name, ip: request.ip }, 'a token was asked for by somebody who is not our Keycloak');
  throw new BridgeRefusal(401, 'invalid_client');
}

const sha256 = (text: string) => createHash('sha256').update(text).digest();

/** RFC 6749, 2.3.1: both parts are form-encoded before they are joined. */
function decodeFormText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return '';
  }
}

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError, publicPart, type Secret, type SigningKey } from '@star/platform';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { importJWK, SignJWT } from 'jose';
import { z } from 'zod';
import { createSeal, type Seal } from './seal';
import type { Upstream, UpstreamPerson } from './upstream';

export interface BridgeOptions {
  /** What browsers and Keycloak reach this process by, without a slash at the end; each service is below `/log-in/<name>`. */
  readonly publicUrl: string;
  readonly upstreams: Readonly<Record<string, Upstream>>;
  /** Keycloak as the bridge's only client. */
  readonly client: { readonly id: string; readonly secret: Secret };
  /** Keycloak's broker endpoints, exactly: `https://id.example.org/realms/star/broker/feishu/endpoint`. */
  readonly redirectUris: readonly string[];
  /** Signs the id tokens. */
  readonly key: SigningKey;
  /** At least 32 letters, the same for all replicas. */
  readonly sealSecret: Secret;
}

const stateSeconds = 600;
/** Feishu's own code lives five minutes, WeChat's ten; Keycloak fetches at once. */
const codeSeconds = 120;
const tokenSeconds = 300;

const asked = z.object({
  client_id: z.string(),
  redirect_uri: z.string(),
  response_type: z.literal('code'),
  state: z.string().max(1024).optional(),
  nonce: z.string().max(512).optional(),
  code_challenge: z.string().max(128).optional(),
  code_challenge_method: z.literal('S256').optional(),
});
const returned = z.object({ code: z.string().min(1).max(1024).optional(), state: z.string().max(128) });
const exchange = z.object({
  grant_type: z.literal('authorization_code'),
  code: z.string(),
  redirect_uri: z.string(),
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
  code_verifier: z.string().max(128).optional(),
});
const waiting = asked.omit({ client_id: true, response_type: true }).extend({ marker: z.string() });
const granted = z.object({
  upstreamCode: z.string(),
  redirect_uri: z.string(),
  nonce: z.string().optional(),
  code_challenge: z.string().optional(),
});

/**
 * Makes OpenID providers of services that are none, as far as Keycloak's identity broker asks: authorisation code with
 * client secret (and PKCE where it is used), ES256 id tokens, userinfo. Feishu and WeChat know other parameters, answer
 * errors with HTTP 200, and have no id tokens.
 */
export async function registerBridge(app: FastifyInstance, options: BridgeOptions): Promise<void> {
  const seal = createSeal(options.sealSecret.reveal());
  const signing = await importJWK(options.key, 'ES256');
  await app.register(async (scope) => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 16_384 }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(body as string))),
    );
    scope.setErrorHandler((error, _request, reply) => void sendError(reply, error));
    for (const [name, upstream] of Object.entries(options.upstreams)) {
      const path = `/log-in/${name}`;
      const issuer = `${options.publicUrl}${path}`;
      const service = { name, path, issuer, upstream, seal, options };
      scope.get(`${path}/.well-known/openid-configuration`, async () => describe(issuer));
      scope.get(`${path}/certs`, async () => ({ keys: [publicPart(options.key)] }));
      scope.get(`${path}/authorize`, (request, reply) => authorize(service, request, reply));
      scope.get(`${path}/callback`, (request, reply) => comeBack(service, request, reply));
      scope.post(`${path}/token`, async (request, reply) => {
        const { person, nonce } = await redeem(service, request);
        const claims = {
          name: person.name,
          ...(person.email && { email: person.email }),
          ...(person.picture && { picture: person.picture }),
        };
        const idToken = await new SignJWT({ ...claims, ...(nonce && { nonce }) })
          .setProtectedHeader({ alg: 'ES256', kid: options.key.kid, typ: 'JWT' })
          .setIssuer(issuer)
          .setAudience(options.client.id)
          .setSubject(person.subject)
          .setIssuedAt()
          .setExpirationTime(`${tokenSeconds}s`)
          .sign(signing);
        const accessToken = await seal.close(`${name}.access`, { sub: person.subject, ...claims }, tokenSeconds);
        void reply.header('cache-control', 'no-store');
        return { access_token: accessToken, token_type: 'Bearer', expires_in: tokenSeconds, id_token: idToken, scope: 'openid' };
      });
      scope.get(`${path}/userinfo`, async (request) => {
        const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
        const known = token && (await seal.open(`${name}.access`, token));
        if (!known) throw new BridgeRefusal(401, 'invalid_token');
        return known;
      });
    }
  });
}

interface Service {
  readonly name: string;
  readonly path: string;
  readonly issuer: string;
  readonly upstream: Upstream;
  readonly seal: Seal;
  readonly options: BridgeOptions;
}

/** An answer in OAuth's words (RFC 6749, 5.2). */
class BridgeRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}

const describe = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  userinfo_endpoint: `${issuer}/userinfo`,
  jwks_uri: `${issuer}/certs`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  code_challenge_methods_supported: ['S256'],
});

const cookieName = (name: string) => `star_log_in_${name}`;

async function authorize({ name, path, issuer, upstream, seal, options }: Service, request: FastifyRequest, reply: FastifyReply) {
  const input = asked.safeParse(request.query);
  if (!input.success) throw new BridgeRefusal(400, 'invalid_request');
  const { client_id, response_type: _, ...rest } = input.data;
  // Nobody is sent to an address that is not Keycloak's, not even with an error.
  if (client_id !== options.client.id || !options.redirectUris.includes(rest.redirect_uri)) throw new BridgeRefusal(400, 'invalid_request');
  const marker = randomBytes(16).toString('hex');
  const cookie = await seal.close(`${name}.state`, { ...rest, marker }, stateSeconds);
  const flags = `Path=${path}; HttpOnly; SameSite=Lax; Max-Age=${stateSeconds}${issuer.startsWith('https:') ? '; Secure' : ''}`;
  return reply
    .header('set-cookie', `${cookieName(name)}=${cookie}; ${flags}`)
    .header('cache-control', 'no-store')
    .redirect(upstream.authorizationUrl(`${issuer}/callback`, marker), 302);
}

/** Only in the browser that set out, and within ten minutes; everything else is an error page of 400. */
async function comeBack({ name, path, seal }: Service, request: FastifyRequest, reply: FastifyReply) {
  const input = returned.safeParse(request.query);
  const cookie = new RegExp(`(?:^|; )${cookieName(name)}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];
  const kept = waiting.safeParse(cookie && (await seal.open(`${name}.state`, cookie)));
  if (!input.success || !kept.success || kept.data.marker !== input.data.state) throw new BridgeRefusal(400, 'invalid_request');
  const { redirect_uri, state, nonce, code_challenge } = kept.data;
  const back = new URL(redirect_uri);
  if (state !== undefined) back.searchParams.set('state', state);
  if (input.data.code === undefined) back.searchParams.set('error', 'access_denied');
  else {
    const content = { upstreamCode: input.data.code, redirect_uri, ...(nonce && { nonce }), ...(code_challenge && { code_challenge }) };
    back.searchParams.set('code', await seal.close(`${name}.code`, content, codeSeconds));
  }
  return reply
    .header('set-cookie', `${cookieName(name)}=; Path=${path}; Max-Age=0`)
    .header('cache-control', 'no-store')
    .redirect(back.href, 302);
}

/** The code of the service is asked for once only: it says itself when it was used before. */
async function redeem(
  { name, issuer, upstream, seal, options }: Service,
  request: FastifyRequest,
): Promise<{ person: UpstreamPerson; nonce?: string }> {
  const input = exchange.safeParse(request.body);
  if (!input.success) throw new BridgeRefusal(400, 'invalid_request');
  const { code, redirect_uri, code_verifier } = input.data;
  checkClient(options, request, input.data);
  const grant = granted.safeParse(await seal.open(`${name}.code`, code));
  if (!grant.success || grant.data.redirect_uri !== redirect_uri) throw new BridgeRefusal(400, 'invalid_grant');
  const { code_challenge, nonce, upstreamCode } = grant.data;
  if (
    code_challenge !== undefined &&
    createHash('sha256')
      .update(code_verifier ?? '')
      .digest('base64url') !== code_challenge
  )
    throw new BridgeRefusal(400, 'invalid_grant');
  const person = await upstream.identify(upstreamCode, `${issuer}/callback`);
  return { person, ...(nonce && { nonce }) };
}

function checkClient(
  { client }: BridgeOptions,
  request: FastifyRequest,
  body: { client_id?: string | undefined; client_secret?: string | undefined },
): void {
  const [, basic] = /^Basic ([\w+/=-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const [id, secret] = basic
    ? Buffer.from(basic, 'base64').toString().split(':', 2).map(decodeFormText)
    : [body.client_id, body.client_secret];
  const same = (given: string | undefined, right: string) =>
    timingSafeEqual(
      createHash('sha256')
        .update(given ?? '')
        .digest(),
      createHash('sha256').update(right).digest(),
    );
  if (!same(id, client.id) || !same(secret, client.secret.reveal())) throw new BridgeRefusal(401, 'invalid_client');
}

/** RFC 6749, 2.3.1: both parts are form-encoded before they are joined. */
function decodeFormText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return '';
  }
}

function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  if (error instanceof BridgeRefusal) return reply.status(error.status).send({ error: error.code });
  if (error instanceof AppError && error.code === 'bridge.code_refused') return reply.status(400).send({ error: 'invalid_grant' });
  if (error instanceof AppError) return reply.status(503).header('retry-after', '5').send({ error: 'temporarily_unavailable' });
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  return reply.status(status).send({ error: status < 500 ? 'invalid_request' : 'server_error' });
}

import { publicPart } from '@star/platform';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type CryptoKey, importJWK } from 'jose';
import { issueToken } from './issue-token';
import { comeBack, sendOn } from './pass-browser';
import { createSeal } from './seal';
import { type BridgeOptions, BridgeRefusal, type Service } from './service';

/** Far more than what Keycloak sends. */
const maxFormBytes = 16_384;

/**
 * Makes OpenID providers of services that are none, as far as Keycloak's identity broker asks: authorisation code with
 * client secret and PKCE, ES256 id tokens. Feishu and WeChat know other parameters, answer errors with HTTP 200, and have
 * no id tokens. Without options, and for services that are not among them, every address is 404.
 */
export async function registerBridge(app: FastifyInstance, options: BridgeOptions | undefined): Promise<void> {
  const services = options ? await servicesOf(options) : new Map<string, Service>();
  type Step = (service: Service, request: FastifyRequest, reply: FastifyReply) => unknown;
  const of = (step: Step) => async (request: FastifyRequest, reply: FastifyReply) => {
    const service = services.get((request.params as { service: string }).service);
    return service ? step(service, request, reply) : reply.callNotFound();
  };
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: maxFormBytes },
      (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
    );
    scope.setErrorHandler((error, _request, reply) => sendError(reply, error, options));
    scope.get('/log-in/:service/.well-known/openid-configuration', of(describe));
    scope.get(
      '/log-in/:service/certs',
      of(({ options: { key } }) => ({ keys: [publicPart(key)] })),
    );
    scope.get('/log-in/:service/authorize', of(sendOn));
    scope.get('/log-in/:service/callback', of(comeBack));
    scope.post(
      '/log-in/:service/token',
      of(async (service, request, reply) => {
        void reply.header('cache-control', 'no-store');
        return issueToken(service, request);
      }),
    );
  });
}

async function servicesOf(options: BridgeOptions): Promise<Map<string, Service>> {
  const seal = createSeal(options.sealKey);
  const signing = (await importJWK(options.key, 'ES256')) as CryptoKey;
  return new Map(
    Object.entries(options.services).map(([name, service]) => {
      const path = `/log-in/${name}`;
      return [name, { ...service, name, path, issuer: `${options.publicUrl}${path}`, seal, signing, options }];
    }),
  );
}

const describe = ({ issuer }: Service) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/certs`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  code_challenge_methods_supported: ['S256'],
});

function sendError(reply: FastifyReply, error: unknown, options: BridgeOptions | undefined): FastifyReply {
  if (error instanceof BridgeRefusal) {
    if (error.status === 503) void reply.header('retry-after', '5');
    return reply.status(error.status).send({ error: error.code });
  }
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (status < 500) return reply.status(status).send({ error: 'invalid_request' });
  options?.log.error({ err: error }, 'the bridge failed');
  return reply.status(500).send({ error: 'server_error' });
}

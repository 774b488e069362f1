import type { IncomingMessage, ServerResponse } from 'node:http';
import { createTokenVerifier, publicPart, tokenAudience } from '@star/platform';
import type { FastifyInstance } from 'fastify';
import { createAccountPages } from './account-pages';
import type { IdentityDeps } from './deps';
import { createLogInPages } from './log-in-pages';
import { notice } from './pages/forms';
import { guardHeaders, sendPage } from './pages/page';
import { languageOf, wordsOf } from './pages/words';
import { createProvider } from './provider';
import { createUserinfo } from './userinfo';

/** Everything under the realm's path, such as `/realms/star`. */
export function createRealm(deps: IdentityDeps): {
  readonly path: string;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
} {
  const issuer = new URL(deps.issuer);
  const provider = createProvider(deps);
  const keys = { keys: [publicPart(deps.signingKey)] };
  const verifier = createTokenVerifier({ issuer: deps.issuer, audience: tokenAudience, keys, isGood: deps.isTokenGood });
  const standard = provider.callback();
  const logIn = createLogInPages(deps, provider);
  const account = createAccountPages(deps, provider);
  const userinfo = createUserinfo(deps, verifier);

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', issuer);
    const own = pathname.slice(issuer.pathname.length);
    if (/^\/log-in\/[\w-]{1,64}$/.test(own)) return logIn(request, response, pathname);
    if (own === '/account') return account(request, response, pathname);
    if (own === '/protocol/openid-connect/userinfo') return userinfo(request, response);
    // Koa reads what is left of the address, and finds out from `originalUrl` where it is mounted.
    Object.assign(request, { originalUrl: request.url, url: (request.url ?? '').slice(issuer.pathname.length) });
    await standard(request, response);
  };

  return {
    path: issuer.pathname,
    handle: async (request, response) => {
      speakFor(issuer, request);
      for (const [name, value] of Object.entries(guardHeaders)) response.setHeader(name, value);
      response.setHeader('content-security-policy', "frame-ancestors 'none'");
      try {
        await route(request, response);
      } catch (error) {
        // Cut by us or by the client: nobody is there to be told.
        if (request.destroyed && !request.complete) return void response.destroy();
        deps.onError(error);
        if (response.headersSent) return void response.destroy();
        const language = languageOf(undefined, request.headers['accept-language']);
        const words = wordsOf(language);
        sendPage(response, { language, title: words.errorTitle, body: notice(words.errorTitle, words.error), status: 500 });
      }
    },
  };
}

/** Addresses the provider writes are the issuer's, whatever a client says that it asked for. */
function speakFor(issuer: URL, request: IncomingMessage): void {
  for (const name of Object.keys(request.headers))
    if (name.startsWith('x-forwarded-') || name === 'forwarded') delete request.headers[name];
  request.headers.host = issuer.host;
  request.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
}

/** Adds the realm to an HTTP server; call before its other routes. Bodies are left for the provider to read. */
export async function registerRealm(fastify: FastifyInstance, deps: IdentityDeps): Promise<void> {
  const realm = createRealm(deps);
  await fastify.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.route({
      method: ['GET', 'HEAD', 'POST', 'OPTIONS'],
      url: `${realm.path}/*`,
      handler: (request, reply) => {
        reply.hijack();
        void realm.handle(request.raw, reply.raw);
      },
    });
  });
}

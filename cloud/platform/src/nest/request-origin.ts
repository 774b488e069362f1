import type { FastifyInstance, FastifyRequest } from 'fastify';
import { withOrigin } from '../identity/request-origin';

const userAgentLength = 300;

const originOf = (request: FastifyRequest) => ({
  ip: request.ip,
  userAgent: (request.headers['user-agent'] ?? '').slice(0, userAgentLength),
});

/** Each request runs with its origin, so that the audit log knows it without every function passing it on. */
export function noteOrigins(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, _reply, done) => withOrigin(originOf(request), done));
  // Reading a body continues in the socket's context, not in the request's.
  fastify.addHook('preValidation', (request, _reply, done) => withOrigin(originOf(request), done));
}

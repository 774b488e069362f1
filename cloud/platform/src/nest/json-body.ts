import type { FastifyInstance } from 'fastify';
import { isDeeperThan } from '../errors/json-depth';
import { requestErrors } from '../errors/problem';

/** Deeper than any resource of ours, far from what exhausts the stack of a recursive validator. */
export const maxJsonDepth = 32;

/** JSON only, nothing else is accepted as a body; `__proto__` keys are refused. An empty body is `undefined`. */
export function acceptJsonOnly(fastify: FastifyInstance, bodyLimitBytes: number): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: bodyLimitBytes }, (request, body, done) => {
    const text = body as string;
    if (text === '') return done(null, undefined);
    if (isDeeperThan(text, maxJsonDepth)) return done(requestErrors.error('request.too_deep', { maxDepth: maxJsonDepth }));
    parse(request, text, (error, value) => (error ? done(requestErrors.error('request.malformed_json', {}, error)) : done(null, value)));
  });
}

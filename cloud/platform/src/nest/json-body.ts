import type { FastifyInstance } from 'fastify';
import { requestErrors } from '../errors/problem';

/** Deeper than any resource of ours, far from what exhausts the stack of a recursive validator. */
export const maxJsonDepth = 32;

/** Nesting is counted before parsing: JSON.parse of a megabyte of `[` is what it protects from. */
export function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inString) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > limit) return true;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return false;
}

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

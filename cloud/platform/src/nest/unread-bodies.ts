import type { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';

/** Bodies of these content types reach the handler unread, as the request's stream. Again for the same type is no error. */
export function leaveBodiesUnread({ httpAdapter }: HttpAdapterHost, contentTypes: readonly string[]): void {
  const fastify = httpAdapter?.getInstance<FastifyInstance>();
  for (const type of contentTypes) {
    if (fastify && !fastify.hasContentTypeParser(type)) fastify.addContentTypeParser(type, (_request, _payload, done) => done(null));
  }
}

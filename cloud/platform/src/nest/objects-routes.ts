import type { FastifyInstance } from 'fastify';
import type { DiskObjects } from '../objects/disk';
import type { Log } from '../postgres/open-database';
import { sendProblem } from './problem.filter';

/** Serves signed addresses under `/objects/`. The signature is the permission: no token is asked for. */
export function serveObjects(fastify: FastifyInstance, objects: DiskObjects, log?: Log): void {
  void fastify.register(async (scope) => {
    // Bodies pass through unread: an upload goes to disk as it comes in, with the limits of its signature.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.route({
      method: ['GET', 'HEAD', 'PUT'],
      url: '/objects/*',
      handler: async (request, reply) => {
        try {
          const answer = await objects.serve({
            method: request.method,
            url: request.raw.url ?? '',
            headers: request.headers,
            body: request.raw,
          });
          return reply.status(answer.status).headers(answer.headers).send(answer.body);
        } catch (error) {
          sendProblem(error, request, reply, log);
          return reply;
        }
      },
    });
  });
}

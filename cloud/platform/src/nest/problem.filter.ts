import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toProblem } from '../errors/problem';
import type { Log } from '../postgres/open-database';
import { traceOf } from './request-trace';

/** Every error becomes `application/problem+json`; what is inside goes to the log under the same trace id. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log?: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    sendProblem(error, request, host.switchToHttp().getResponse<FastifyReply>(), this.log);
  }
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, log?: Log): void {
  const problem = toProblem(error, traceOf(request).traceId);
  const details = { err: error, code: problem.code, method: request.method, route: request.routeOptions.url, traceId: problem.traceId };
  if (problem.status >= 500) log?.error(details, 'request failed');
  else log?.debug(details, 'request refused');
  // An event stream has begun: there is no status left to send, so the break itself tells the reader to come again.
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  if (typeof problem.params.retryAfterS === 'number') reply.header('retry-after', String(Math.ceil(problem.params.retryAfterS)));
  void reply.status(problem.status).header('content-type', 'application/problem+json; charset=utf-8').send(JSON.stringify(problem));
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { nextSpan, parseTraceparent, type Trace, withTrace } from '../telemetry/trace';

const traces = new WeakMap<FastifyRequest, Trace>();

/** The trace of a request; one is made for a request that failed before the hook ran. */
export function traceOf(request: FastifyRequest): Trace {
  const known = traces.get(request);
  if (known) return known;
  const trace = nextSpan(parseTraceparent(request.headers.traceparent));
  traces.set(request, trace);
  return trace;
}

/** Each request runs in its trace, the caller's or a new one; the answer names it in `x-request-id`. */
export function traceRequests(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const trace = traceOf(request);
    reply.header('x-request-id', trace.traceId);
    withTrace(trace, done);
  });
  // Reading a body continues in the socket's context, not in the request's.
  fastify.addHook('preValidation', (request, _reply, done) => withTrace(traceOf(request), done));
}

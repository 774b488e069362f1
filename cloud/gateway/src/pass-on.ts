import { type Readable, Transform } from 'node:stream';
import replyFrom from '@fastify/reply-from';
import { type Metrics, requestErrors } from '@star/platform';
import { sendProblem } from '@star/platform/nest';
import { limitsOf } from '@stardipper/proto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import CircuitBreaker from 'opossum';
import { gatewayErrors } from './gateway.errors';
import { backwards, onwards } from './onward-headers';
import { routes, type ServiceName, serviceNames } from './routes';

export type Upstreams = Readonly<Record<ServiceName, string>>;

export interface PassOnOptions {
  readonly upstreams: Upstreams;
  readonly metrics?: Metrics;
  readonly breaker?: {
    /** How long a failing service is left alone; 2 s unless told. */
    readonly pauseMs?: number;
  };
  /** Until a service begins to answer; the policy's unless told. */
  readonly timeoutMsOf?: (method: string, path: string) => number;
}

type Pass = (answer: () => void, fail: (error: Error) => void) => void;

/** Passes every route of the policy table on to its service; bodies and server-sent events are streamed. No other path exists. */
export async function passOn(app: FastifyInstance, { upstreams, metrics, breaker, timeoutMsOf }: PassOnOptions): Promise<void> {
  const timeoutOf = timeoutMsOf ?? ((method, path) => limitsOf(method, path).timeoutMs);
  const pauseMs = breaker?.pauseMs ?? 2000;
  const breakers = breakersOf(pauseMs, metrics);
  await app.register(async (scope) => {
    await scope.register(replyFrom, { http: {}, disableCache: true, disableRequestLogging: true });
    // Bodies pass unread; parsing them is the services' affair.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.addHook('preParsing', async (request, _reply, payload) => (sizeIsKnown(request) ? payload : payload.pipe(bounded(request))));
    scope.addHook('onClose', async () => {
      for (const each of Object.values(breakers)) each.shutdown();
    });
    scope.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
    for (const route of routes) {
      scope.route({
        method: route.method === 'GET' ? ['GET', 'HEAD'] : route.method,
        url: route.path,
        handler: (request, reply) =>
          through(
            breakers[route.service],
            { service: route.service, upstream: upstreams[route.service], timeoutMs: timeoutOf(route.method, route.path), pauseMs },
            request,
            reply,
          ),
      });
    }
  });
}

const sizeIsKnown = (request: FastifyRequest) => request.headers['transfer-encoding'] === undefined;

/** What names its size was checked before it came in; what does not is counted on its way. */
function bounded(request: FastifyRequest): Transform {
  const { bodyBytes } = limitsOf(request.method, request.routeOptions.url ?? '');
  let seen = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      seen += chunk.length;
      if (seen > bodyBytes) done(requestErrors.error('request.too_large', { maxBytes: bodyBytes }));
      else done(null, chunk);
    },
  });
}

interface Way {
  readonly service: ServiceName;
  readonly upstream: string;
  readonly timeoutMs: number;
  readonly pauseMs: number;
}

/**
 * What is told of the service: it could not be reached, or did not answer a request that had come in whole. Everything else is
 * the client's doing (a body broken off, headers that cannot be passed on), and must not close the service to all others.
 */
class Unanswered extends Error {}

async function through(
  breaker: CircuitBreaker<[Pass], void>,
  way: Way,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Nobody is left to be answered.
  if (reply.raw.destroyed) return reply;
  const [path] = request.url.split('?', 1);
  letOthersTry(breaker, request, way.pauseMs);
  try {
    await breaker.fire((answer, fail) => {
      // The breaker must not wait for what it will never be told.
      reply.raw.once('close', () => fail(new Error('the client hung up')));
      // The query is added from the request as it is.
      reply.from(`${way.upstream}${path}`, {
        timeout: way.timeoutMs,
        // Who asked decides whether to ask again; asking ten times for one request is how a tired service is finished off.
        retryDelay: () => null,
        rewriteRequestHeaders: onwards,
        rewriteHeaders: backwards,
        onResponse: (_request, _reply, answered) => {
          answer();
          const { stream } = answered as unknown as { stream: Readable };
          // Nobody reads it any more, and an answer left unread keeps its line to the service.
          if (reply.raw.destroyed) stream.destroy();
          else void reply.send(stream);
        },
        onError: (_reply, { error }) =>
          fail(request.raw.complete && !isTooLarge(error.cause) ? new Unanswered(error.message, { cause: error }) : error),
      });
    });
  } catch (error) {
    if (!reply.raw.destroyed) sendProblem(outward(error, way.service), request, reply);
  }
  return reply;
}

/** The one request that is let through to see whether a service is back tells nothing while its body is still on its way. */
function letOthersTry(breaker: CircuitBreaker<[Pass], void>, request: FastifyRequest, pauseMs: number): void {
  if (!breaker.halfOpen || !breaker.pendingClose) return;
  setTimeout(() => {
    if (breaker.halfOpen && !request.raw.complete) breaker.close();
  }, pauseMs).unref();
}

/** A service that never answered, could not be reached, or is being left alone: all of it may be over at the next try. */
function outward(error: unknown, service: ServiceName): Error {
  if (CircuitBreaker.isOurError(error as Error)) return gatewayErrors.error('service.unavailable', { service, retryAfterS: 2 }, error);
  const { statusCode, cause } = (error instanceof Unanswered ? error.cause : error) as Error & { statusCode?: number };
  if (isTooLarge(cause)) return cause;
  return gatewayErrors.error(statusCode === 504 ? 'service.timeout' : 'service.unavailable', { service }, error);
}

const isTooLarge = (error: unknown): error is Error => (error as { code?: unknown } | undefined)?.code === 'request.too_large';

/** Open after half of at least ten requests in ten seconds found nobody; then one at a time is let through to see. */
function breakersOf(resetTimeout: number, metrics?: Metrics): Readonly<Record<ServiceName, CircuitBreaker<[Pass], void>>> {
  const open = metrics?.gauge('star_gateway_circuit_open', '1 while a service is left alone', ['service']);
  const make = (service: ServiceName) => {
    const breaker = new CircuitBreaker<[Pass], void>((pass) => new Promise<void>((resolve, reject) => pass(resolve, reject)), {
      name: service,
      timeout: false,
      errorThresholdPercentage: 50,
      volumeThreshold: 10,
      rollingCountTimeout: 10_000,
      resetTimeout,
      rollingPercentilesEnabled: false,
      errorFilter: (error: Error) => !(error instanceof Unanswered),
    });
    open?.set({ service }, 0);
    breaker.on('open', () => open?.set({ service }, 1));
    breaker.on('close', () => open?.set({ service }, 0));
    return breaker;
  };
  return Object.fromEntries(serviceNames.map((service) => [service, make(service)])) as Record<ServiceName, CircuitBreaker<[Pass], void>>;
}

import { type AppError, type Caller, type Log, type Metrics, requestErrors, type TokenVerifier } from '@star/platform';
import { identify, requireAccess, sendProblem } from '@star/platform/nest';
import { accessOf, isAreaScoped, limitsOf } from '@stardipper/proto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ApiLimitsOf, bucketsOf, strangerBucket, usualApiLimits } from './api-limits';
import { gatewayErrors } from './gateway.errors';
import { countInFlight, type InFlight, type InFlightOptions, shareOf } from './in-flight';
import { lineOf } from './line-of';
import { type Bucket, countInMemory, type RateCounters, type Taken } from './rate-limits';
import { routeOf } from './routes';
import { dropSpoofed } from './spoofed-headers';

export interface EntranceOptions {
  readonly verifier: TokenVerifier;
  /** What a tenant may call per minute; `usualApiLimits` unless told, and while it fails. */
  readonly apiLimitsOf?: ApiLimitsOf;
  /** In memory unless told. Closed with the application. */
  readonly counters?: RateCounters;
  readonly inFlight?: InFlightOptions;
  readonly metrics?: Metrics;
  readonly log?: Log;
}

/** How soon a refused client may try again: long enough that it does not add to the load. */
const overloadedRetryS = 1;

/** `..`, however it is written, or a whole address: what is passed on would be another one than the one that was checked. */
function leadsElsewhere(url: string): boolean {
  if (!url.startsWith('/')) return true;
  const path = url.split('?', 1)[0] as string;
  try {
    return /\\|\/\.(?:\/|\.|$)|\.\.\//.test(path.includes('%') ? decodeURIComponent(path) : path);
  } catch {
    return true;
  }
}

/**
 * The checks of the one entrance, before anything of a request is read: spoofed headers go, then what a service has in
 * flight is bounded, a caller must be known and allowed by the policy table, within his calls per minute, and the body
 * within the route's size. The same hook runs in the gateway and, in the all-in-one, in front of the services
 * themselves, who check the caller again by the same verdict.
 */
export function guardEntrance(fastify: FastifyInstance, options: EntranceOptions): void {
  const counters = options.counters ?? countInMemory();
  const told = measure(options.metrics);
  const inFlight = countInFlight({ onChange: told.inside, ...options.inFlight });
  const ofOne = countInFlight(shareOf(options.inFlight));
  const calls = limitCalls(counters, options);
  fastify.addHook('onClose', () => counters.close());
  fastify.addHook('onRequest', async (request, reply) => {
    // The address is worked out at the first look, from a header that is about to go.
    const address = request.ip;
    dropSpoofed(request.raw.headers);
    // What services may believe, because it comes from here.
    request.raw.headers['x-forwarded-for'] = address;
    if (leadsElsewhere(request.url)) {
      sendProblem(requestErrors.error('route.not_found'), request, reply, options.log);
      return reply;
    }
    const { url } = request.routeOptions;
    const access = url === undefined ? undefined : accessOf(request.method, url);
    if (access === 'probe' || (access === undefined && !request.url.startsWith('/api/'))) return;
    const route = url === undefined ? undefined : routeOf(request.method, url);
    // Boxes that fetch large objects over slow lines take no room from people.
    const objects = url?.startsWith('/objects/') ?? false;
    const service = objects ? 'objects' : (route?.service ?? 'none');
    try {
      if (route) enter(inFlight, request, reply, service);
      if (access === undefined || access === 'public') {
        // The signature of an object's address is its permission, and its own limit.
        if (!objects) {
          await calls.byAddress(reply, address);
          if (route) enter(ofOne, request, reply, service, lineOf(address));
        }
      } else {
        const caller = await identify(request, options.verifier).catch(async (error: unknown) => {
          await calls.byAddress(reply, address);
          throw error;
        });
        // Who holds it on some area only is known to the service.
        if (!isAreaScoped(request.method, url ?? '')) requireAccess(caller, access);
        await calls.byCaller(reply, caller);
        if (route) enter(ofOne, request, reply, service, caller.tenantId);
      }
      if (route) checkSize(request);
    } catch (error) {
      told.refused(service, error);
      sendProblem(error, request, reply, options.log);
      return reply;
    }
  });
}

/** @param whose counted for him alone */
function enter(inFlight: InFlight, request: FastifyRequest, reply: FastifyReply, service: string, whose = ''): void {
  const { stream } = limitsOf(request.method, request.routeOptions.url ?? '');
  const leave = inFlight.enter(`${service}${whose && ` of ${whose}`}`, stream);
  if (!leave) throw gatewayErrors.error('service.overloaded', { service, retryAfterS: overloadedRetryS });
  reply.raw.once('finish', leave);
  reply.raw.once('close', leave);
  // Hung up while it was found out who he is: nothing will be told of it again.
  if (reply.raw.destroyed) leave();
}

function checkSize(request: FastifyRequest): void {
  const { bodyBytes } = limitsOf(request.method, request.routeOptions.url ?? '');
  if (Number(request.headers['content-length'] ?? 0) > bodyBytes) throw requestErrors.error('request.too_large', { maxBytes: bodyBytes });
}

function limitCalls(counters: RateCounters, { apiLimitsOf, log }: EntranceOptions) {
  const take = async (reply: FastifyReply, buckets: readonly Bucket[]) => {
    for (const bucket of buckets) {
      const taken = await counters.take(bucket);
      tellLimit(reply, bucket, taken);
      if (!taken.allowed)
        throw gatewayErrors.error('request.limited', { perMinute: bucket.perMinute, retryAfterS: Math.ceil(taken.waitMs / 1000) });
    }
  };
  return {
    byAddress: (reply: FastifyReply, address: string) => take(reply, [strangerBucket(address)]),
    byCaller: async (reply: FastifyReply, caller: Caller) => {
      const limits = await apiLimitsOf?.(caller.tenantId).catch((error: unknown) => {
        log?.warn({ err: error, tenantId: caller.tenantId }, 'the limits of a tenant are not known at the moment');
        return undefined;
      });
      await take(reply, bucketsOf(caller, limits ?? usualApiLimits));
    },
  };
}

/** Of the bucket that is nearer to empty. */
function tellLimit(reply: FastifyReply, { perMinute }: Bucket, { remaining, fullInMs }: Taken): void {
  const told = reply.getHeader('ratelimit-remaining');
  if (told !== undefined && Number(told) <= remaining) return;
  reply.header('ratelimit-limit', String(perMinute));
  reply.header('ratelimit-remaining', String(remaining));
  reply.header('ratelimit-reset', String(Math.ceil(fullInMs / 1000)));
}

function measure(metrics: Metrics | undefined) {
  const refused = metrics?.counter('star_gateway_refused_total', 'Requests the entrance refused', ['service', 'code']);
  const inside = metrics?.gauge('star_gateway_in_flight', 'Requests and event streams inside a service', ['service', 'kind']);
  return {
    refused: (service: string, error: unknown) => refused?.inc({ service, code: (error as Partial<AppError>).code ?? 'internal' }),
    inside: (service: string, kind: 'request' | 'stream', count: number) => inside?.set({ service, kind }, count),
  };
}

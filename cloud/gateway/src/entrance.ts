import proxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import { defineErrors } from '@star/platform';
import { sendProblem } from '@star/platform/nest';
import type { FastifyInstance } from 'fastify';

export const serviceNames = ['tenants', 'devices', 'search'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** Which service answers which part of the API. A path that is in no row does not exist outside. */
export const entranceRoutes: readonly { readonly prefix: string; readonly service: ServiceName }[] = [
  { prefix: '/api/v1/session', service: 'tenants' },
  { prefix: '/api/v1/me', service: 'tenants' },
  { prefix: '/api/v1/communities', service: 'tenants' },
  { prefix: '/api/v1/tenants', service: 'tenants' },
  { prefix: '/api/v1/settings', service: 'tenants' },
  { prefix: '/api/v1/audit', service: 'tenants' },
  { prefix: '/api/v1/provisioning-keys', service: 'devices' },
  { prefix: '/api/v1/edges', service: 'devices' },
  { prefix: '/api/v1/recorders', service: 'devices' },
  { prefix: '/api/v1/cameras', service: 'devices' },
  { prefix: '/api/v1/software', service: 'devices' },
  { prefix: '/api/v1/people', service: 'search' },
  { prefix: '/api/v1/packs', service: 'search' },
  { prefix: '/api/v1/searches', service: 'search' },
  { prefix: '/objects', service: 'search' },
];

export const entranceErrors = defineErrors({ 'service.unavailable': 'unavailable', 'service.timeout': 'timeout' });

/** What a client may not claim about itself; the services read the token, never such a header. */
const spoofable = ['x-tenant-id', 'x-user-id', 'x-roles', 'x-forwarded-user'];

/** Passes each row of the table on to its service; bodies and server-sent events are streamed. */
export async function registerEntrance(app: FastifyInstance, upstreams: Readonly<Record<ServiceName, string>>): Promise<void> {
  await app.register(async (scope) => {
    // Bodies pass unread; parsing them is the services' affair.
    scope.removeAllContentTypeParsers();
    scope.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
    for (const { prefix, service } of entranceRoutes) await scope.register(proxy, passOn(prefix, upstreams[service]));
  });
}

/** Whether the service behind never answered, or could not be reached: both may be over at the next try. */
const codeOf = (error: Error & { statusCode?: number }) => (error.statusCode === 504 ? 'service.timeout' : 'service.unavailable');

const passOn = (prefix: string, upstream: string): FastifyHttpProxyOptions => ({
  upstream,
  prefix,
  rewritePrefix: prefix,
  proxyPayloads: true,
  // Longer than any service takes to answer, an estimate of many boxes among them. Event streams have no limit.
  http: { requestOptions: { timeout: 60_000 } },
  replyOptions: {
    onError: (reply, { error }) => void reply.send(entranceErrors.error(codeOf(error), {}, error)),
    rewriteRequestHeaders: (_request, headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !spoofable.includes(name))),
  },
});

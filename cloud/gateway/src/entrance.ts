import proxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import type { FastifyInstance } from 'fastify';

export const serviceNames = ['tenants', 'devices', 'search'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** Which service answers which part of the API. A path that is in no row does not exist outside. */
export const entranceRoutes: readonly { readonly prefix: string; readonly service: ServiceName }[] = [
  { prefix: '/api/v1/session', service: 'tenants' },
  { prefix: '/api/v1/me', service: 'tenants' },
  { prefix: '/api/v1/communities', service: 'tenants' },
  { prefix: '/api/v1/audit', service: 'tenants' },
  { prefix: '/api/v1/provisioning-keys', service: 'devices' },
  { prefix: '/api/v1/edges', service: 'devices' },
  { prefix: '/api/v1/recorders', service: 'devices' },
  { prefix: '/api/v1/cameras', service: 'devices' },
  { prefix: '/api/v1/people', service: 'search' },
  { prefix: '/api/v1/searches', service: 'search' },
  { prefix: '/objects', service: 'search' },
];

/** What a client may not claim about itself; the services read the token, never such a header. */
const spoofable = ['x-tenant-id', 'x-user-id', 'x-roles', 'x-forwarded-user'];

/** Passes each row of the table on to its service; bodies and server-sent events are streamed. */
export async function registerEntrance(app: FastifyInstance, upstreams: Readonly<Record<ServiceName, string>>): Promise<void> {
  await app.register(async (scope) => {
    // Bodies pass unread; parsing them is the services' affair.
    scope.removeAllContentTypeParsers();
    for (const { prefix, service } of entranceRoutes) await scope.register(proxy, passOn(prefix, upstreams[service]));
  });
}

const passOn = (prefix: string, upstream: string): FastifyHttpProxyOptions => ({
  upstream,
  prefix,
  rewritePrefix: prefix,
  proxyPayloads: true,
  // Streams of progress stay open as long as a search runs; everything else ends by the service's own limit.
  http: { requestOptions: { timeout: 0 } },
  replyOptions: {
    rewriteRequestHeaders: (_request, headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !spoofable.includes(name))),
  },
});

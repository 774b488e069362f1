import { limitsOf, usualLimits } from '@stardipper/proto';
import { strangersPerMinute, usualApiLimits } from './api-limits';
import type { Upstreams } from './pass-on';
import { type Route, routes, serviceNames } from './routes';
import { spoofable } from './spoofed-headers';

export interface KongOptions {
  readonly upstreams: Upstreams;
  /** What `iss` of the tokens says. */
  readonly issuer: string;
  /** Of the key that signs them, PEM. */
  readonly publicKey: string;
  readonly algorithm: 'ES256' | 'RS256';
}

/**
 * The policy table as a DB-less configuration of Kong 3.9, for `declarative_config`. Kong's own plugins check a token's
 * signature and expiry, count calls per token, key or address, and hold bodies to the routes' sizes; permissions, API
 * keys and what belongs to whom are checked by the services, behind Kong as behind the gateway. What Kong's free edition
 * has no plugin for is left out: limits per tenant, and the circuit breaker.
 */
export function kongFile({ upstreams, issuer, publicKey, algorithm }: KongOptions): object {
  return {
    _format_version: '3.0',
    services: serviceNames.flatMap((service) => servicesOf(service, upstreams[service])),
    consumers: [{ username: 'star', jwt_secrets: [{ key: issuer, algorithm, rsa_public_key: publicKey }] }],
    plugins: [{ name: 'request-transformer', config: { remove: { headers: [...spoofable] } } }],
  };
}

/** Kong knows time limits of a service only: one entry for each limit that its routes have. */
function servicesOf(service: string, url: string): object[] {
  const own = routes.filter((route) => route.service === service);
  const timeouts = [...new Set(own.map(timeoutOf))].sort((a, b) => a - b);
  return timeouts.map((timeoutMs) => ({
    name: timeoutMs === usualLimits.timeoutMs ? service : `${service}-${timeoutMs / 1000}s`,
    url,
    // Who asked decides whether to ask again.
    retries: 0,
    connect_timeout: 5000,
    write_timeout: timeoutMs,
    read_timeout: timeoutMs,
    routes: alike(own.filter((route) => timeoutOf(route) === timeoutMs)).flatMap((group) => routesOf(service, group)),
  }));
}

const dayMs = 86_400_000;
const timeoutOf = ({ method, path }: Route) => {
  const { stream, timeoutMs } = limitsOf(method, path);
  return stream ? dayMs : timeoutMs;
};

/** Routes that differ in their path only are one route of Kong's, which then counts their calls together. */
function alike(all: readonly Route[]): (readonly [Route, ...Route[]])[] {
  const groups = new Map<string, [Route, ...Route[]]>();
  for (const route of all) {
    const { bodyBytes, stream } = limitsOf(route.method, route.path);
    const key = JSON.stringify([route.method, bodyBytes, stream, kindOf(route)]);
    const group = groups.get(key);
    if (group) group.push(route);
    else groups.set(key, [route]);
  }
  return [...groups.values()];
}

const kindOf = ({ path, access }: Route) => (path.startsWith('/objects/') ? 'objects' : access === 'public' ? 'public' : 'callers');

/** One route for callers with a token, and one for those with an API key, which Kong prefers where it matches. */
function routesOf(service: string, group: readonly [Route, ...Route[]]): object[] {
  const [route] = group;
  const { bodyBytes, stream } = limitsOf(route.method, route.path);
  const usual = bodyBytes === usualLimits.bodyBytes ? '' : `-${bodyBytes}-bytes`;
  const name = `${service}-${route.method.toLowerCase()}-${kindOf(route)}${stream ? '-streams' : ''}${usual}`;
  const size = {
    name: 'request-size-limiting',
    config: { allowed_payload_size: bodyBytes, size_unit: 'bytes', require_content_length: false },
  };
  const shape = {
    methods: route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
    paths: group.map(({ path }) => kongPath(path)),
    strip_path: false,
    request_buffering: bodyBytes <= usualLimits.bodyBytes,
    response_buffering: !stream && kindOf(route) !== 'objects',
  };
  if (kindOf(route) === 'objects') return [{ name, ...shape, plugins: [size] }];
  if (kindOf(route) === 'public') return [{ name, ...shape, plugins: [size, perMinute(strangersPerMinute, { limit_by: 'ip' })] }];
  const jwt = {
    name: 'jwt',
    config: {
      key_claim_name: 'iss',
      claims_to_verify: ['exp'],
      header_names: ['authorization'],
      // Kong's own way would be `?jwt=`: addresses end up in logs.
      uri_param_names: [],
      run_on_preflight: false,
    },
  };
  const byToken = perMinute(usualApiLimits.user, { limit_by: 'header', header_name: 'authorization' });
  const byKey = (header_name: string) => perMinute(usualApiLimits.key, { limit_by: 'header', header_name });
  return [
    { name, ...shape, plugins: [jwt, size, byToken] },
    { name: `${name}-by-key`, ...shape, headers: { 'x-api-key': ['~*^sdk_'] }, plugins: [size, byKey('x-api-key')] },
    { name: `${name}-by-bearer-key`, ...shape, headers: { authorization: ['~*^Bearer +sdk_'] }, plugins: [size, byKey('authorization')] },
  ];
}

/** `local` counts in each Kong by itself; with several, set policy and redis. */
const perMinute = (minute: number, by: object) => ({
  name: 'rate-limiting',
  config: { minute, policy: 'local', fault_tolerant: true, hide_client_headers: false, ...by },
});

/** `/api/v1/edges/:edgeId` is `~/api/v1/edges/[^/]+$`: a path with a `~` is a regular expression, anchored at its beginning. */
const kongPath = (path: string) => `~${path.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+').replace('*', '.+')}$`;

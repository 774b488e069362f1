/** The HTTP side of each role: the same entrance in front of the services, or in front of the gateway that passes on to them. */

import { Module } from '@nestjs/common';
import {
  type ApiLimitsOf,
  apiLimitsWithin,
  countInMemory,
  countInRedis,
  describeAll,
  type EntranceOptions,
  guardEntrance,
  passOn,
  serveConsole,
  type Upstreams,
} from '@star/gateway';
import { createLogger, createMetrics, openDatabase } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { settingsOf } from '@star/tenants';
import { type Base, openCache } from './base';
import { serveBridge } from './bridge';
import { issuerOf, openVerifier } from './identity';
import type { Services } from './services';
import type { AppSettings } from './settings';

@Module({})
class GatewayModule {}

const apiLimitsFrom =
  (deps: Pick<Base, 'database' | 'cache'>): ApiLimitsOf =>
  async (tenantId) =>
    apiLimitsWithin((await settingsOf(deps)(tenantId)).settings.limits.apiCallsPerMinute);

type Entrance = Pick<EntranceOptions, 'verifier' | 'metrics' | 'log'> & Partial<EntranceOptions>;

const entrance = (settings: AppSettings, options: Entrance): EntranceOptions => ({
  counters: settings.STAR_REDIS_URL
    ? countInRedis({ url: settings.STAR_REDIS_URL, ...(options.log ? { log: options.log } : {}) })
    : countInMemory(),
  ...options,
});

/** It is the only one that reaches them, and it says who asked. */
const behindGateway = ({ STAR_ROLE: role }: AppSettings) => role !== 'all' && role !== 'gateway';

const addresses = (settings: AppSettings) => ({
  host: settings.STAR_HTTP_HOST,
  port: settings.STAR_HTTP_PORT,
  trustedProxies: behindGateway(settings) ? ['loopback'] : (settings.STAR_TRUSTED_PROXIES?.split(',').map((each) => each.trim()) ?? []),
});

const consoleSettings = (settings: AppSettings) => ({
  issuer: issuerOf(settings),
  mqttUrl: settings.STAR_PUBLIC_MQTT_URL ?? `mqtt://${new URL(settings.STAR_PUBLIC_URL).hostname}:${settings.STAR_MQTT_PORT}`,
});

/**
 * Of the services of a process, not listening yet. In the all-in-one its entrance is this process's; a service of its
 * own stands behind the gateway's, and checks callers only.
 */
export function openServicesHttp(base: Base, services: Services, own: Partial<EntranceOptions> = {}): Promise<HttpApp> {
  const { settings, metrics, log } = base;
  const all = settings.STAR_ROLE === 'all';
  return createHttpApp(services.module, {
    ...addresses(settings),
    verifier: base.identity.verifier,
    areasVisibleTo: services.areasVisibleTo,
    admit: services.admit,
    metrics,
    log,
    objects: base.objects,
    title: 'Star',
    checks: {
      database: { run: () => base.database.ping() },
      // Only search reads and writes it: the others work on while it is down.
      ...(all || settings.STAR_ROLE === 'search' ? { analytics: { run: () => base.analytics.ping() } } : {}),
    },
    entrance: (fastify) => {
      if (all)
        guardEntrance(
          fastify,
          entrance(settings, { verifier: base.identity.verifier, apiLimitsOf: apiLimitsFrom(base), metrics, log, ...own }),
        );
    },
    extend: async (fastify) => {
      if (all || settings.STAR_ROLE === 'tenants') {
        await base.identity.serve(fastify);
        await serveBridge(fastify, settings, log);
      }
      if (all && settings.STAR_CONSOLE) await serveConsole(fastify, settings.STAR_CONSOLE, consoleSettings(settings));
    },
  });
}

/** The gateway stands on the other services, and on the database for API keys and limits only: without it tokens work on. */
export async function openGatewayHttp(settings: AppSettings, own: Partial<EntranceOptions> = {}): Promise<HttpApp> {
  const upstreams = upstreamsOf(settings);
  const log = createLogger({ service: 'gateway', level: settings.STAR_LOG_LEVEL });
  const metrics = createMetrics({ service: 'gateway' });
  const database = openDatabase({ url: settings.STAR_DATABASE_URL, poolSize: 4, log });
  const verifier = await openVerifier(settings, database);
  const cache = await openCache(settings, database, log);
  return createHttpApp(GatewayModule, {
    ...addresses(settings),
    verifier,
    log,
    metrics,
    title: 'Star',
    describe: describeAll(upstreams),
    entrance: (fastify) =>
      guardEntrance(fastify, entrance(settings, { verifier, apiLimitsOf: apiLimitsFrom({ database, cache }), metrics, log, ...own })),
    extend: async (fastify) => {
      fastify.addHook('onClose', async () => {
        await cache.close();
        await database.close();
      });
      await passOn(fastify, { upstreams, metrics });
      if (settings.STAR_CONSOLE) await serveConsole(fastify, settings.STAR_CONSOLE, consoleSettings(settings));
    },
  });
}

function upstreamsOf(settings: AppSettings): Upstreams {
  const { STAR_UPSTREAM_TENANTS: tenants, STAR_UPSTREAM_DEVICES: devices, STAR_UPSTREAM_SEARCH: search } = settings;
  if (!tenants || !devices || !search)
    throw new Error('the gateway needs STAR_UPSTREAM_TENANTS, STAR_UPSTREAM_DEVICES and STAR_UPSTREAM_SEARCH');
  return { tenants, devices, search };
}

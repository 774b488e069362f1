/** One application process of Star; started by `main.ts`, which says by settings which services it runs and where the parts are. */

import { Module } from '@nestjs/common';
import { registerEntrance, serveConsole } from '@star/gateway';
import { createLogger, createMetrics, readConfig } from '@star/platform';
import { connectBus, createHttpApp, type HttpApp } from '@star/platform/nest';
import type { FastifyInstance } from 'fastify';
import { openBase } from './base';
import { composeServices } from './services';
import { type AppSettings, appSettings } from './settings';

/** A package of software of 600 MB at 1.4 Mbit/s. */
const longRequests = { prefixes: ['/api/v1/software/packages'], timeoutMs: 3_600_000 };

@Module({})
class GatewayModule {}

interface Running {
  readonly ready: Record<string, unknown>;
  stop(): Promise<void>;
}

const withConsole = (settings: AppSettings) => async (fastify: FastifyInstance) => {
  if (settings.STAR_CONSOLE) await serveConsole(fastify, settings.STAR_CONSOLE);
};

async function runServices(settings: AppSettings): Promise<Running> {
  const base = await openBase(settings);
  const services = composeServices(base, settings.STAR_ROLE);
  const app: HttpApp = await createHttpApp(services.module, {
    verifier: base.verifier,
    host: settings.STAR_HTTP_HOST,
    port: settings.STAR_HTTP_PORT,
    metrics: base.metrics,
    log: base.log,
    admit: services.admit,
    objects: base.objects,
    title: 'Star',
    longRequests,
    checks: {
      database: { run: () => base.database.ping() },
      // Only search reads and writes it: the others work on while it is down.
      ...(settings.STAR_ROLE === 'all' || settings.STAR_ROLE === 'search' ? { analytics: { run: () => base.analytics.ping() } } : {}),
    },
    extend: settings.STAR_ROLE === 'all' ? withConsole(settings) : async () => undefined,
  });
  connectBus(app.nest, {
    bus: base.bus,
    group: settings.STAR_ROLE,
    onHandled: (topic, group, outcome, seconds) => base.metrics.busSeconds.observe({ topic, group, outcome }, seconds),
  });
  const said = await services.start();
  await app.nest.startAllMicroservices();
  const url = await app.listen();
  return {
    ready: { url, ...said },
    stop: async () => {
      await app.close();
      await services.stop();
      await base.close();
    },
  };
}

/** The gateway stands on nothing but the other services. */
async function runGateway(settings: AppSettings): Promise<Running> {
  const { STAR_UPSTREAM_TENANTS: tenants, STAR_UPSTREAM_DEVICES: devices, STAR_UPSTREAM_SEARCH: search } = settings;
  if (!tenants || !devices || !search)
    throw new Error('the gateway needs STAR_UPSTREAM_TENANTS, STAR_UPSTREAM_DEVICES and STAR_UPSTREAM_SEARCH');
  const app = await createHttpApp(GatewayModule, {
    // No route of its own asks for a token: each service checks it itself.
    verifier: { verify: () => Promise.reject(new Error('the gateway has no routes of its own')) },
    host: settings.STAR_HTTP_HOST,
    port: settings.STAR_HTTP_PORT,
    log: createLogger({ service: 'gateway', level: settings.STAR_LOG_LEVEL }),
    metrics: createMetrics({ service: 'gateway' }),
    title: 'Star',
    longRequests,
    extend: async (fastify) => {
      await registerEntrance(fastify, { tenants, devices, search });
      await withConsole(settings)(fastify);
    },
  });
  return { ready: { url: await app.listen() }, stop: () => app.close() };
}

async function main(): Promise<void> {
  const settings = readConfig(appSettings, process.env);
  let running: Running | undefined;
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    // What has only begun to start has nothing to bring to an end.
    if (!running) process.exit(0);
    setTimeout(() => process.exit(1), 7000).unref();
    running.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  // Before anything is started: a supervisor that dies meanwhile must not leave this one behind.
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, end);
  running = settings.STAR_ROLE === 'gateway' ? await runGateway(settings) : await runServices(settings);
  process.send?.({ type: 'ready', ...running.ready });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

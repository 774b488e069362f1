import 'reflect-metadata';
import { Socket } from 'node:net';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { accessOf, limitsOf, longestTimeoutMs } from '@stardipper/proto';
import type { FastifyInstance } from 'fastify';
import type { AreasVisibleTo } from '../identity/area-scope';
import type { TokenVerifier } from '../identity/identity';
import type { DiskObjects } from '../objects/disk';
import type { Log } from '../postgres/open-database';
import type { Metrics } from '../telemetry/metrics';
import { type AccessOf, type Admit, AuthGuard, requireClassified } from './auth.guard';
import { describeAccess } from './describe-access';
import { HEALTH, type HealthCheck, HealthController, type HealthState } from './health.controller';
import { acceptJsonOnly } from './json-body';
import { serveObjects } from './objects-routes';
import { ProblemFilter } from './problem.filter';
import { noteOrigins } from './request-origin';
import { traceRequests } from './request-trace';

export interface HttpAppOptions {
  readonly verifier: TokenVerifier;
  /** Star's own policy table unless told. */
  readonly accessOf?: AccessOf;
  /** Lets those in who hold a route's permission on an area only, where the table says that this is enough. */
  readonly areasVisibleTo?: AreasVisibleTo;
  /** 127.0.0.1 unless told. */
  readonly host?: string;
  /** A free one unless told. */
  readonly port?: number;
  /** What `/readyz` asks. */
  readonly checks?: Readonly<Record<string, HealthCheck>>;
  readonly metrics?: Metrics;
  readonly log?: Log;
  /** 1 MB unless told. */
  readonly bodyLimitBytes?: number;
  /** For a request to a route to come in whole; the policy's unless told. */
  readonly timeoutMsOf?: (method: string, path: string) => number;
  /** Addresses of proxies whose `x-forwarded-for` names the client; nobody is believed unless told. */
  readonly trustedProxies?: readonly string[];
  /** What `/api/openapi.json` answers; this application's own description unless told. */
  readonly describe?: () => Promise<unknown>;
  readonly title?: string;
  /** Asked about every caller whose token was right. */
  readonly admit?: Admit;
  /** Serves `/objects/…` as well. */
  readonly objects?: DiskObjects;
  /** Hooks in front of every route, `/objects/…` among them. */
  readonly entrance?: (fastify: FastifyInstance) => void;
  /** More routes outside of Nest (static files, a proxy); called before Nest adds its own. */
  readonly extend?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Open connections (event streams) are cut this long after `close`; 5 s unless told. */
  readonly closeWithinMs?: number;
}

export interface HttpApp {
  readonly nest: NestFastifyApplication;
  /** Starts to listen; answers the base address, `http://127.0.0.1:1234`. */
  listen(): Promise<string>;
  /** The OpenAPI description served at `/api/openapi.json`. */
  openApi(): OpenAPIObject;
  /** Unready at once, no new connections, requests in flight end, then the modules' `onModuleDestroy`. May be called twice. */
  close(): Promise<void>;
}

@Module({})
class HttpRoot {}

/** A Nest application on Fastify with everything a Star service's HTTP side has in common. */
export async function createHttpApp(module: Type<unknown> | DynamicModule, options: HttpAppOptions): Promise<HttpApp> {
  const health: HealthState = { checks: options.checks ?? {}, closing: false, ...(options.metrics ? { metrics: options.metrics } : {}) };
  const root: DynamicModule = {
    module: HttpRoot,
    imports: [module],
    controllers: [HealthController],
    providers: [{ provide: HEALTH, useValue: health }],
  };
  const bodyLimit = options.bodyLimitBytes ?? 1_000_000;
  const timeoutMsOf = options.timeoutMsOf ?? ((method, path) => limitsOf(method, path).timeoutMs);
  const adapter = new FastifyAdapter({
    bodyLimit,
    requestTimeout: longestTimeoutMs,
    ...(options.trustedProxies?.length ? { trustProxy: [...options.trustedProxies] } : {}),
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
  });
  const nest = await NestFactory.create<NestFastifyApplication>(root, adapter, { bodyParser: false, logger: false, abortOnError: false });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  traceRequests(fastify);
  noteOrigins(fastify);
  acceptJsonOnly(fastify, bodyLimit);
  hardenAnswers(fastify);
  cutUnreadBodies(fastify);
  cutSlowRequests(fastify, timeoutMsOf);
  if (options.metrics) measure(fastify, options.metrics);
  nest.useGlobalFilters(new ProblemFilter(options.log));
  const table = options.accessOf ?? accessOf;
  nest.useGlobalGuards(new AuthGuard(options.verifier, table, options.areasVisibleTo, options.admit));
  options.entrance?.(fastify);
  if (options.objects) serveObjects(fastify, options.objects, options.log);
  await options.extend?.(fastify);
  const classified = requireClassified(fastify, table);
  let description: OpenAPIObject | undefined;
  const openApi = () => {
    description ??= describeAccess(
      SwaggerModule.createDocument(
        nest,
        new DocumentBuilder()
          .setTitle(options.title ?? 'Star')
          .setVersion('1')
          .build(),
      ),
      table,
    );
    return description;
  };
  fastify.get('/api/openapi.json', async () => options.describe?.() ?? openApi());
  await nest.init();
  classified.check();
  return {
    nest,
    openApi,
    listen: async () => {
      await nest.listen(options.port ?? 0, options.host ?? '127.0.0.1');
      return nest.getUrl();
    },
    close: once(async () => {
      health.closing = true;
      const impatience = setTimeout(() => fastify.server.closeAllConnections(), options.closeWithinMs ?? 5000);
      await nest.close().finally(() => clearTimeout(impatience));
    }),
  };
}

function hardenAnswers(fastify: FastifyInstance): void {
  fastify.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('x-content-type-options')) reply.header('x-content-type-options', 'nosniff');
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
}

/** Long enough for a client on a slow line to read the answer that tells it why. */
const lingerMs = 1000;

/**
 * A request answered before its body was read (refused, or too large) may go on sending for ever, and Node would read
 * and throw away all of it. `Connection: close` would cut at once, and the reset destroys the answer on its way to a
 * client that still writes: so it is cut a moment later instead.
 */
function cutUnreadBodies(fastify: FastifyInstance): void {
  fastify.addHook('onSend', async ({ raw }, reply) => {
    if (!raw.complete) reply.removeHeader('connection');
  });
  fastify.addHook('onResponse', async ({ raw }) => {
    // Node takes the socket away from a request whose connection ended, and an injected request never had one.
    const socket: unknown = raw.socket;
    if (raw.complete || !(socket instanceof Socket)) return;
    raw.resume();
    setTimeout(() => raw.complete || socket.destroy(), lingerMs).unref();
  });
}

/** Node knows one limit for all requests, which is then the longest: all the others are kept to theirs here. */
function cutSlowRequests(fastify: FastifyInstance, timeoutMsOf: (method: string, path: string) => number): void {
  fastify.addHook('onRequest', async ({ raw, method, routeOptions }) => {
    if (raw.complete || !(raw.socket instanceof Socket)) return;
    const timer = setTimeout(() => raw.complete || (raw.socket as Socket | null)?.destroy(), timeoutMsOf(method, routeOptions.url ?? ''));
    timer.unref();
    raw.once('close', () => clearTimeout(timer));
  });
}

function measure(fastify: FastifyInstance, metrics: Metrics): void {
  fastify.addHook('onResponse', async (request, reply) => {
    // The route's pattern, never the address: a label per id would grow without end.
    const labels = { method: request.method, route: request.routeOptions.url ?? 'none', status: `${Math.floor(reply.statusCode / 100)}xx` };
    metrics.httpSeconds.observe(labels, reply.elapsedTime / 1000);
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}

import 'reflect-metadata';
import type { Socket } from 'node:net';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { accessOf } from '@stardipper/proto';
import type { FastifyInstance } from 'fastify';
import type { TokenVerifier } from '../identity/identity';
import type { DiskObjects } from '../objects/disk';
import type { Log } from '../postgres/open-database';
import type { Metrics } from '../telemetry/metrics';
import { type AccessOf, type Admit, AuthGuard, requireClassified } from './auth.guard';
import { HEALTH, type HealthCheck, HealthController, type HealthState } from './health.controller';
import { acceptJsonOnly } from './json-body';
import { serveObjects } from './objects-routes';
import { ProblemFilter } from './problem.filter';
import { traceRequests } from './request-trace';

export interface HttpAppOptions {
  readonly verifier: TokenVerifier;
  /** Star's own policy table unless told. */
  readonly accessOf?: AccessOf;
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
  /** For a request to come in whole; two minutes unless told. */
  readonly requestTimeoutMs?: number;
  /** Longer for what is sent to addresses that begin with one of these: large uploads. */
  readonly longRequests?: { readonly prefixes: readonly string[]; readonly timeoutMs: number };
  readonly title?: string;
  /** Asked about every caller whose token was right. */
  readonly admit?: Admit;
  /** Serves `/objects/…` as well. */
  readonly objects?: DiskObjects;
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
  const requestTimeoutMs = options.requestTimeoutMs ?? 120_000;
  const adapter = new FastifyAdapter({
    bodyLimit,
    requestTimeout: Math.max(requestTimeoutMs, options.longRequests?.timeoutMs ?? 0),
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
  });
  const nest = await NestFactory.create<NestFastifyApplication>(root, adapter, { bodyParser: false, logger: false, abortOnError: false });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  traceRequests(fastify);
  acceptJsonOnly(fastify, bodyLimit);
  hardenAnswers(fastify);
  cutUnreadBodies(fastify);
  if (options.longRequests) cutSlowRequests(fastify, requestTimeoutMs, options.longRequests.prefixes);
  if (options.metrics) measure(fastify, options.metrics);
  nest.useGlobalFilters(new ProblemFilter(options.log));
  const table = options.accessOf ?? accessOf;
  nest.useGlobalGuards(new AuthGuard(options.verifier, table, options.admit));
  if (options.objects) serveObjects(fastify, options.objects, options.log);
  await options.extend?.(fastify);
  const classified = requireClassified(fastify, table);
  let description: OpenAPIObject | undefined;
  const openApi = () => {
    description ??= SwaggerModule.createDocument(
      nest,
      new DocumentBuilder()
        .setTitle(options.title ?? 'Star')
        .setVersion('1')
        .addBearerAuth()
        .build(),
    );
    return description;
  };
  fastify.get('/api/openapi.json', async () => openApi());
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
    if (raw.complete) return;
    raw.resume();
    // Node takes the socket away from a request whose connection ended, whatever the types say.
    const socket: Socket | null = raw.socket;
    setTimeout(() => raw.complete || socket?.destroy(), lingerMs).unref();
  });
}

/** Node knows one limit for all requests, which is then the longest: all the others are kept to theirs here. */
function cutSlowRequests(fastify: FastifyInstance, timeoutMs: number, longer: readonly string[]): void {
  fastify.addHook('onRequest', async ({ raw, url }) => {
    if (raw.complete || longer.some((prefix) => url.startsWith(prefix))) return;
    const timer = setTimeout(() => raw.complete || (raw.socket as Socket | null)?.destroy(), timeoutMs);
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

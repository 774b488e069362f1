/**
 * All of Star in one process, as the all-in-one composes it, with two tenants who have one of everything. Real:
 * PostgreSQL, ClickHouse, objects on disk, the bus, the MQTT hub, HTTP. Only the face model is a stand-in.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { devicesMigrations } from '@star/devices';
import type { EntranceOptions } from '@star/gateway';
import { identityMigrations } from '@star/identity';
import { type Caller, createTokenIssuer, loadSigningKey, tokenAudience } from '@star/platform';
import { connectBus, type HttpApp } from '@star/platform/nest';
import { testAnalytics, testDatabase } from '@star/platform/test-kit';
import { searchAnalytics, searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import { roles } from '@stardipper/proto';
import { startModel } from '../../../search/test/support/world';
import { type Base, openBase } from '../../src/base';
import { issuerOf } from '../../src/identity';
import { openServicesHttp } from '../../src/open-http';
import { signingKeyPath } from '../../src/secrets';
import { composeServices } from '../../src/services';
import { appSettings } from '../../src/settings';

// biome-ignore lint/suspicious/noExplicitAny: answers of every route are looked at
export type Body = any;

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** As text, to be searched. */
  readonly headers: string;
  readonly body: Body;
}

export interface Ask {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface WholeStar {
  readonly base: Base;
  readonly app: HttpApp;
  readonly address: string;
  readonly ownerUrl: string;
  readonly mqttPort: number;
  /** In process; for event streams use `address`, since they do not end. */
  ask(ask: Ask): Promise<Answer>;
  /** Of somebody with all roles, unless told. Those of the platform are the platform tenant's people's only. */
  tokenFor(caller: Partial<Caller> & { readonly tenantId: string }): Promise<string>;
  close(): Promise<void>;
}

/** @param own settings beside or instead of the usual ones, and of the entrance, which holds nobody back unless told */
export async function startWholeStar(
  own: Readonly<Record<string, string>> = {},
  entrance: Partial<EntranceOptions> = {},
): Promise<WholeStar> {
  const folder = await mkdtemp(join(tmpdir(), 'star-whole-'));
  const database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
    { service: 'devices', folder: devicesMigrations },
    { service: 'search', folder: searchMigrations },
  ]);
  const analytics = await testAnalytics([{ service: 'search', folder: searchAnalytics }]);
  const model = await startModel();
  const settings = appSettings.parse({
    STAR_ROLE: 'all',
    STAR_DATA: folder,
    STAR_HOST: '127.0.0.1',
    STAR_HTTP_HOST: '127.0.0.1',
    STAR_HTTP_PORT: 0,
    STAR_MQTT_PORT: 0,
    STAR_PUBLIC_URL: 'http://star.test',
    STAR_DATABASE_URL: database.appUrl,
    STAR_CLICKHOUSE_URL: analytics.server.url,
    STAR_CLICKHOUSE_USER: analytics.server.username,
    STAR_CLICKHOUSE_PASSWORD: analytics.server.password,
    STAR_MIZAR: model.address,
    STAR_PACKS_ADDRESS: `unix:${join(folder, 'no-packs.sock')}`,
    STAR_PLATFORM_ADMIN: 'platform',
    STAR_PLATFORM_PASSWORD: 'platform secret',
    STAR_LOG_LEVEL: 'silent',
    ...own,
  });
  const base = await openBase(settings);
  const tokens = createTokenIssuer({
    issuer: issuerOf(settings),
    audience: tokenAudience,
    key: await loadSigningKey(signingKeyPath(folder)),
  });
  const services = composeServices(base, 'all');
  // Nobody is held back: a walk over every route comes from one address.
  const app = await openServicesHttp(base, services, {
    counters: { take: async () => ({ allowed: true, remaining: 1, waitMs: 0, fullInMs: 0 }), close: async () => undefined },
    ...entrance,
  });
  connectBus(app.nest, { bus: base.bus, group: 'all' });
  const { mqttPort } = (await services.start()) as { mqttPort: number };
  await app.nest.startAllMicroservices();
  const address = await app.listen();
  await services.openFirstTenant();
  return {
    base,
    app,
    address,
    ownerUrl: database.ownerUrl,
    mqttPort,
    ask: async ({ method, url, headers, body }) => {
      const json = body !== undefined && !Buffer.isBuffer(body);
      const answer = await app.nest.inject({
        method: method as 'GET',
        url,
        headers: { ...(json ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body === undefined ? {} : { payload: json ? JSON.stringify(body) : (body as Buffer) }),
      });
      return { status: answer.statusCode, text: answer.body, headers: JSON.stringify(answer.headers), body: parsed(answer.body) };
    },
    tokenFor: async (caller) =>
      (await tokens.issue({ userId: randomUUID(), username: `somebody of ${caller.tenantId}`, roles: [...roles], ...caller })).token,
    close: async () => {
      await app.close();
      await services.stop();
      await base.close();
      model.close();
      await analytics.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const parsed = (text: string): Body => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

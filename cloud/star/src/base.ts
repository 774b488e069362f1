import { join } from 'node:path';
import {
  type Analytics,
  type Bus,
  type Cache,
  createLogger,
  createMetrics,
  createTokenIssuer,
  createTokenVerifier,
  type Database,
  type DiskObjects,
  keepUp,
  loadSigningKey,
  type Metrics,
  openAnalytics,
  openDatabase,
  openDiskObjects,
  openKafkaBus,
  openLocalCache,
  openPostgresBus,
  openRedisCache,
  startRelay,
  type TokenIssuer,
  type TokenVerifier,
} from '@star/platform';
import { maxSoftwareBytes } from '@stardipper/proto';
import type { Logger } from 'pino';
import { lastingSecret, signingKeyPath } from './secrets';
import type { AppSettings } from './settings';

/** The ports of the platform, opened for one application process. */
export interface Base {
  readonly settings: AppSettings;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly bus: Bus;
  readonly analytics: Analytics;
  readonly objects: DiskObjects;
  readonly cache: Cache;
  readonly tokens: TokenIssuer;
  readonly verifier: TokenVerifier;
  /** Encrypts recorder passwords at rest. */
  readonly credentialsKey: Buffer;
  close(): Promise<void>;
}

const issuer = 'star';
const audience = 'star';
/** A working day, until refresh tokens come with the identity provider. */
const tokenTtlS = 12 * 3600;

/** Opens database, bus, analytics, objects and identity as the settings say, with the relay and upkeep of the bus running. */
export async function openBase(settings: AppSettings): Promise<Base> {
  const log = createLogger({ service: settings.STAR_ROLE, level: settings.STAR_LOG_LEVEL });
  const metrics = createMetrics({ service: settings.STAR_ROLE, process: true });
  const database = openDatabase({
    url: settings.STAR_DATABASE_URL,
    poolSize: 16,
    log,
    onTransaction: (kind, outcome, durationMs) => metrics.databaseSeconds.observe({ kind, outcome }, durationMs / 1000),
  });
  const upkeep = new AbortController();
  const opened = settings.STAR_KAFKA_BROKERS
    ? { bus: await openKafkaBus({ brokers: settings.STAR_KAFKA_BROKERS.split(','), clientId: `star-${settings.STAR_ROLE}`, log }) }
    : await openPostgresBus({ db: database, log }).then((bus) => ({ bus, postgres: bus }));
  const { bus } = opened;
  const relay = await startRelay({ db: database, bus, log });
  // Kafka keeps its own retention, but the inbox is ours to sweep with either.
  const upkept = keepUp({ db: database, log, ...('postgres' in opened ? { bus: opened.postgres } : {}) }, upkeep.signal);
  const analytics = openAnalytics({
    url: settings.STAR_CLICKHOUSE_URL,
    username: settings.STAR_CLICKHOUSE_USER,
    password: settings.STAR_CLICKHOUSE_PASSWORD,
    database: 'star',
  });
  const objects = await openDiskObjects({
    folder: join(settings.STAR_DATA, 'objects'),
    secret: (await lastingSecret(settings.STAR_DATA, 'objects')).toString('base64url'),
    publicUrl: settings.STAR_PUBLIC_URL,
    // Nothing larger is kept than a package of software; every address that is signed for an upload has a limit of its own.
    maxBytes: maxSoftwareBytes,
  });
  const cache = settings.STAR_REDIS_URL
    ? await openRedisCache({ url: settings.STAR_REDIS_URL, log })
    : await openLocalCache({ db: database });
  const tokens = createTokenIssuer({ issuer, audience, key: await loadSigningKey(signingKeyPath(settings.STAR_DATA)), ttlS: tokenTtlS });
  return {
    settings,
    log,
    metrics,
    database,
    bus,
    analytics,
    objects,
    cache,
    tokens,
    verifier: createTokenVerifier({ issuer, audience, keys: tokens.jwks }),
    credentialsKey: await lastingSecret(settings.STAR_DATA, 'credentials'),
    close: async () => {
      upkeep.abort();
      await Promise.all([upkept, relay.stop()]);
      await bus.close();
      await cache.close();
      await analytics.close();
      await database.close();
    },
  };
}

import {
  type Analytics,
  type Bus,
  type Cache,
  createLogger,
  createMetrics,
  type Database,
  type DiskObjects,
  keepUp,
  loadSigningKey,
  type Metrics,
  openAnalytics,
  openDatabase,
  openKafkaBus,
  openLocalCache,
  openPostgresBus,
  openRedisCache,
  type SigningKey,
  startRelay,
  type TenantKeys,
} from '@star/platform';
import type { Logger } from 'pino';
import { type Identity, openIdentity } from './identity';
import { openObjects } from './objects';
import { auditKeyPath, lastingSecret } from './secrets';
import type { AppSettings } from './settings';
import { openTenantKeys } from './tenant-keys';

/** The ports of the platform, opened for one application process. */
export interface Base {
  readonly settings: AppSettings;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly bus: Bus;
  readonly analytics: Analytics;
  readonly objects: DiskObjects;
  /** Seal faces at rest. */
  readonly tenantKeys: TenantKeys;
  readonly identity: Identity;
  readonly cache: Cache;
  /** Encrypts recorder passwords at rest. */
  readonly credentialsKey: Buffer;
  /** Signs the ends of audit chains. */
  readonly auditKey: SigningKey;
  close(): Promise<void>;
}

/** In Redis where the settings name one; otherwise in memory, with word of changes over the database. */
export const openCache = ({ STAR_REDIS_URL: url }: AppSettings, db: Database, log: Logger): Promise<Cache> =>
  url ? openRedisCache({ url, log }) : openLocalCache({ db });

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
  const tenantKeys = await openTenantKeys(settings.STAR_DATA, settings.STAR_DATABASE_URL, log);
  const objects = await openObjects(settings.STAR_DATA, settings.STAR_PUBLIC_URL, tenantKeys);
  const cache = await openCache(settings, database, log);
  return {
    settings,
    log,
    metrics,
    database,
    bus,
    analytics,
    objects,
    tenantKeys,
    identity: await openIdentity(settings, database, cache, log),
    cache,
    credentialsKey: await lastingSecret(settings.STAR_DATA, 'credentials'),
    auditKey: await loadSigningKey(auditKeyPath(settings.STAR_DATA)),
    close: async () => {
      upkeep.abort();
      await Promise.all([upkept, relay.stop()]);
      await bus.close();
      await cache.close();
      await analytics.close();
      await tenantKeys.close();
      await database.close();
    },
  };
}

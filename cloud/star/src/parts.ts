import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmbeddedAnalytics } from '@star/platform';
import type { Logger } from 'pino';
import { keepChild } from './kept-child';
import { keepPostgres } from './kept-postgres';
import { openObjects } from './objects';
import { createPackPool } from './pack-pool';
import { packsGrpcService } from './packs-service';
import { serveInside } from './serve-inside';
import { serviceSocket } from './service-socket';
import type { StarSettings } from './settings';

/** What the services stand on: started here, or named by the settings. */
export interface Parts {
  readonly databaseUrl: string;
  readonly ownerUrl: string;
  readonly clickhouse: { readonly url: string; readonly user: string; readonly password: string };
  /** Address of the Mizar with the installation's own pack. */
  readonly mizar: string;
  /** Address of star.v1.PacksService, which has one for each assigned pack. */
  readonly packs: string;
  /** Folder of the Mizar started here. */
  readonly mizarData: string;
  /** Of the processes started here, by name. */
  readonly pids: () => Record<string, number>;
  stop(): Promise<void>;
}

interface Started {
  readonly pids: () => Record<string, number>;
  readonly stop: () => Promise<void>;
}

/** Starts the embedded parts the settings do not replace; what was started is stopped when another one fails. */
export async function startParts(settings: StarSettings, env: NodeJS.ProcessEnv, log: Logger): Promise<Parts> {
  const started: Started[] = [];
  const stop = async () => {
    await Promise.all(started.splice(0).map((part) => part.stop()));
  };
  const [postgres, clickhouse, mizar, packs] = await Promise.allSettled([
    startPostgres(settings, log, started),
    startClickhouse(settings, log, started),
    startMizar(settings, env, log, started),
    startPacks(settings, env, log, started),
  ]);
  for (const result of [postgres, clickhouse, mizar, packs]) {
    if (result.status === 'fulfilled') continue;
    await stop();
    throw result.reason;
  }
  if (postgres.status !== 'fulfilled' || clickhouse.status !== 'fulfilled' || mizar.status !== 'fulfilled' || packs.status !== 'fulfilled')
    throw new Error('unreachable');
  return {
    ...postgres.value,
    clickhouse: clickhouse.value,
    mizar: mizar.value,
    packs: packs.value,
    mizarData: join(settings.STAR_DATA, 'mizar'),
    pids: () => Object.assign({}, ...started.map(({ pids }) => pids())) as Record<string, number>,
    stop,
  };
}

async function startPostgres(settings: StarSettings, log: Logger, started: Started[]) {
  if (settings.STAR_DATABASE_URL && settings.STAR_DATABASE_OWNER_URL) {
    return { databaseUrl: settings.STAR_DATABASE_URL, ownerUrl: settings.STAR_DATABASE_OWNER_URL };
  }
  const postgres = await keepPostgres(join(settings.STAR_DATA, 'postgres'), log);
  started.push({ pids: pidAs('postgres', postgres.pid), stop: () => postgres.stop() });
  return { databaseUrl: postgres.appUrl, ownerUrl: postgres.ownerUrl };
}

async function startClickhouse(settings: StarSettings, log: Logger, started: Started[]) {
  if (settings.STAR_CLICKHOUSE_URL) {
    return { url: settings.STAR_CLICKHOUSE_URL, user: settings.STAR_CLICKHOUSE_USER, password: settings.STAR_CLICKHOUSE_PASSWORD };
  }
  const analytics = await startEmbeddedAnalytics({ dataDir: join(settings.STAR_DATA, 'analytics'), log });
  started.push({ pids: pidAs('analytics', () => analytics.pid()), stop: () => analytics.stop() });
  return { url: analytics.url, user: analytics.username, password: analytics.password };
}

async function startMizar(settings: StarSettings, env: NodeJS.ProcessEnv, log: Logger, started: Started[]): Promise<string> {
  if (settings.STAR_MIZAR) return settings.STAR_MIZAR;
  const data = join(settings.STAR_DATA, 'mizar');
  if (!settings.STAR_MIZAR_PROGRAM || !settings.STAR_PACK) {
    log.warn('neither STAR_MIZAR nor STAR_MIZAR_PROGRAM with STAR_PACK is set: nobody can be enrolled');
    return `unix:${join(data, 'absent.sock')}`;
  }
  await mkdir(data, { recursive: true });
  const child = await keepChild(
    {
      name: 'mizar',
      script: settings.STAR_MIZAR_PROGRAM,
      env: { ...env, DIPPER_DATA: data, MIZAR_PACK: settings.STAR_PACK, MIZAR_THREADS: '1' },
    },
    log,
  );
  started.push({ pids: pidAs('mizar', child.pid), stop: () => child.stop() });
  return `unix:${String(child.ready().socket)}`;
}

const pidAs = (name: string, pid: () => number | undefined) => (): Record<string, number> => {
  const now = pid();
  return now === undefined ? {} : { [name]: now };
};

async function startPacks(settings: StarSettings, env: NodeJS.ProcessEnv, log: Logger, started: Started[]): Promise<string> {
  const folder = join(settings.STAR_DATA, 'packs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pool = createPackPool({
    folder,
    // Nothing is signed here.
    objects: await openObjects(settings.STAR_DATA, 'http://127.0.0.1'),
    // The models are a tenant's: whatever they do to a process, no secret of Star is in it.
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('STAR_'))),
    mizarProgram: settings.STAR_MIZAR_PROGRAM,
    modelsProgram: settings.STAR_MODELS_PROGRAM,
    maxMizars: settings.STAR_MAX_MIZARS,
    maxInstalled: settings.STAR_MAX_PACKS,
    log,
  });
  const address = `unix:${await serviceSocket(settings.STAR_DATA, 'packs')}`;
  const server = await serveInside(address, [packsGrpcService(pool)]);
  started.push({
    pids: () => pool.pids(),
    stop: async () => {
      server.forceShutdown();
      await pool.stop();
    },
  });
  return address;
}

/**
 * Star on one machine: starts the embedded parts the settings do not replace, brings the databases up to date, runs the
 * services in one process or one each, and keeps all of it running. Says `{type: 'ready', url, …}` over IPC and as a line.
 */

import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { devicesMigrations } from '@star/devices';
import { identityMigrations } from '@star/identity';
import { createLogger, migrate, openAnalytics, readConfig } from '@star/platform';
import { searchAnalytics, searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import type { Logger } from 'pino';
import { type KeptChild, keepChild } from './kept-child';
import { type Parts, startParts } from './parts';
import { makeSecrets } from './secrets';
import { type StarSettings, starSettings } from './settings';
import { startApps, withPorts } from './start-apps';
import { sealWhatIsOld } from './tenant-keys';

async function migrateAll(parts: Parts, log: Logger): Promise<void> {
  for (const [service, folder] of [
    // Before tenants, whose users it takes over.
    ['identity', identityMigrations],
    ['tenants', tenantsMigrations],
    ['devices', devicesMigrations],
    ['search', searchMigrations],
  ] as const) {
    await migrate(parts.ownerUrl, service, folder, { log });
  }
  const { url, user, password } = parts.clickhouse;
  const analytics = openAnalytics({ url, username: user, password, database: 'star' });
  try {
    await analytics.migrate('search', searchAnalytics);
  } finally {
    await analytics.close();
  }
}

/** For whoever looks after the processes: name to pid, rewritten while they come and go. */
function keepPidsWritten(settings: StarSettings, pids: () => Record<string, number>): NodeJS.Timeout {
  const path = join(settings.STAR_DATA, 'pids.json');
  let last = '';
  const write = async () => {
    const text = JSON.stringify({ star: process.pid, ...pids() });
    if (text === last) return;
    last = text;
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  void write();
  return setInterval(() => void write().catch(() => undefined), 200);
}

/** Resolves when this process is told to end, or whoever started it is gone. */
const toldToEnd = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, () => resolve());
  });

async function main(): Promise<void> {
  const ending = toldToEnd();
  let starting = true;
  // What has only begun to start ends with this process: each part watches for its parent's death.
  void ending.then(() => starting && process.exit(0));
  const settings = await withPorts(readConfig(starSettings, process.env, { warn: (message) => console.warn(message) }));
  const log = createLogger({ service: 'star', level: settings.STAR_LOG_LEVEL });
  if (!settings.STAR_PUBLIC_URL && ['0.0.0.0', '::'].includes(settings.STAR_HOST))
    log.warn('STAR_PUBLIC_URL is not set: people can log in on this machine only');
  await mkdir(settings.STAR_DATA, { recursive: true, mode: 0o700 });
  await makeSecrets(settings.STAR_DATA);
  const console_ = settings.STAR_CONSOLE ?? join(__dirname, '../../../web/dist');
  const parts = await startParts(settings, process.env, log);
  const apps: KeptChild[] = [];
  try {
    await migrateAll(parts, log);
    await sealWhatIsOld(settings.STAR_DATA, parts.databaseUrl, log);
    await startApps(settings, parts, existsSync(console_) ? console_ : undefined, async (program) => {
      const app = await keepChild(program, log);
      apps.push(app);
      return app;
    });
  } catch (error) {
    await Promise.all(apps.map((app) => app.stop()));
    await parts.stop();
    throw error;
  }
  const pids = () => ({
    ...parts.pids(),
    ...Object.fromEntries(apps.flatMap((app) => (app.pid() ? [[app.name, app.pid() as number]] : []))),
  });
  const timer = keepPidsWritten(settings, pids);
  const ready = { type: 'ready', ...Object.assign({}, ...apps.map((app) => app.ready())), mizarData: parts.mizarData, pids: pids() };
  process.send?.(ready);
  log.info({ url: ready.url }, 'ready');
  starting = false;
  await ending;
  clearInterval(timer);
  await Promise.all(apps.map((app) => app.stop()));
  await parts.stop();
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.stack : error);
  process.exit(1);
});

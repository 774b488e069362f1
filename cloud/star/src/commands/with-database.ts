import { join } from 'node:path';
import { type Database, findEmbeddedPostgres, openDatabase, startEmbeddedPostgres } from '@star/platform';
import type { CommandSettings } from './command';

/** Star's database, bound by row-level security as the services are: of a Star that runs, or started for this work alone. */
export async function withDatabase<T>(settings: CommandSettings, work: (database: Database) => Promise<T>): Promise<T> {
  const folder = join(settings.STAR_DATA, 'postgres');
  const running = settings.STAR_DATABASE_URL ?? (await findEmbeddedPostgres(folder))?.appUrl;
  const own = running === undefined ? await startEmbeddedPostgres({ dataDir: folder }) : undefined;
  const database = openDatabase({ url: running ?? (own?.appUrl as string), poolSize: 4, statementTimeoutMs: 600_000 });
  try {
    return await work(database);
  } finally {
    await database.close();
    await own?.stop();
  }
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Analytics } from '../analytics/analytics';
import { openAnalytics } from '../analytics/clickhouse.store';
import { type EmbeddedAnalytics, startEmbeddedAnalytics } from '../analytics/embedded-analytics';

export interface TestAnalytics {
  readonly analytics: Analytics;
  readonly server: EmbeddedAnalytics;
  readonly dataDir: string;
  readonly database: string;
  /** Ends the process and deletes its data. */
  close(): Promise<void>;
}

/**
 * A real ClickHouse (chdb in a process of its own, up in about a second) with the given migrations applied. Each call
 * starts one: call it once in `beforeAll`, close in `afterAll`.
 */
export async function testAnalytics(migrations: readonly { service: string; folder: string }[] = []): Promise<TestAnalytics> {
  const dataDir = await mkdtemp(join(tmpdir(), 'star-analytics-'));
  // Under jest this file is TypeScript, and so is the program: its process needs the same treatment.
  const isSource = __filename.endsWith('.ts');
  const entry = isSource
    ? { file: join(__dirname, '../analytics/server-main.ts'), execArgv: ['-r', join(__dirname, '../../test/run-sources.cjs')] }
    : { file: join(__dirname, '../analytics/server-main.js'), execArgv: [] };
  const server = await startEmbeddedAnalytics({ dataDir, entry });
  const database = 'star';
  const analytics = openAnalytics({ ...server, database });
  for (const { service, folder } of migrations) await analytics.migrate(service, folder);
  return {
    analytics,
    server,
    dataDir,
    database,
    close: async () => {
      await analytics.close();
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import { analyticsErrors } from './analytics.errors';

/** See `Analytics.migrate`. */
export async function migrateAnalytics(client: ClickHouseClient, service: string, folder: string): Promise<void> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS migrations (service String, number UInt32, name String, sha256 String, applied_at DateTime64(3) DEFAULT now64(3))
            ENGINE = ReplacingMergeTree ORDER BY (service, number)`,
  });
  const result = await client.query({
    query: 'SELECT number, sha256 FROM migrations FINAL WHERE service = {service:String}',
    query_params: { service },
    format: 'JSONEachRow',
  });
  const applied = new Map(((await result.json()) as { number: number; sha256: string }[]).map((row) => [row.number, row.sha256]));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  for (const [index, name] of names.entries()) {
    const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
    if (number !== index + 1) throw analyticsErrors.error('analytics.migration_misnamed', { service, name });
    const sql = await readFile(join(folder, name), 'utf8');
    const sha256 = createHash('sha256').update(sql).digest('hex');
    const known = applied.get(number);
    if (known === sha256) continue;
    if (known !== undefined) throw analyticsErrors.error('analytics.migration_changed', { service, name });
    for (const query of statementsOf(sql)) await client.command({ query });
    await client.insert({ table: 'migrations', values: [{ service, number, name, sha256 }], format: 'JSONEachRow' });
  }
}

/** Statements end with `;` at the end of a line; lines that are comments are left out, so that none is empty. */
function statementsOf(sql: string): string[] {
  const withoutComments = sql
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n');
  return withoutComments
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { openAnalytics } from '../src/analytics/clickhouse.store';
import { startEmbeddedAnalytics } from '../src/analytics/embedded-analytics';
import { type TestAnalytics, testAnalytics } from '../src/test-kit';
import { until } from './bus.contract';

const folder = join(__dirname, 'analytics-migrations');
const passage = (id: string, more: object = {}) => ({
  id,
  camera: 'gate',
  seen_at: new Date('2026-03-01T08:00:00.123Z'),
  score: 0.5,
  version: 1,
  ...more,
});
const allOf = 'SELECT id, camera, score FROM passages FINAL WHERE tenant_id = {tenant:UUID} ORDER BY id';
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing was wrong',
    (error: { code: string }) => error.code,
  );

describe('analytics on chdb, through the real client', () => {
  let it_: TestAnalytics;
  beforeAll(async () => {
    it_ = await testAnalytics([{ service: 'search', folder }]);
  });
  afterAll(() => it_?.close());
  const of = (tenantId: string) => it_.analytics.forTenant(tenantId);

  test('a tenant reads its own rows and, whatever the SQL says, nobody else’s', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    await of(mine).insert('passages', [passage('a'), passage('b')], 't');
    await of(theirs).insert('passages', [passage('secret', { tenant_id: mine })], 't');
    expect(await of(mine).query(allOf)).toEqual([
      { id: 'a', camera: 'gate', score: 0.5 },
      { id: 'b', camera: 'gate', score: 0.5 },
    ]);
    for (const sql of [
      'SELECT id FROM passages WHERE {tenant:UUID} IS NOT NULL',
      'SELECT id FROM star.passages AS p WHERE {tenant:UUID} != generateUUIDv4()',
      `SELECT id FROM passages WHERE tenant_id = {tenant:UUID} UNION ALL SELECT id FROM passages`,
      'SELECT id FROM (SELECT * FROM passages) AS p LEFT JOIN passages_per_camera AS c ON 1 = 1 WHERE {tenant:UUID} IS NOT NULL',
      'WITH x AS (SELECT * FROM passages) SELECT id FROM x WHERE {tenant:UUID} IS NOT NULL',
    ]) {
      const rows = await of(mine).query<{ id: string }>(sql);
      expect(rows.map((row) => row.id)).toContain('a');
      expect(rows.map((row) => row.id)).not.toContain('secret');
    }
  });

  test('rows are deleted by an id, of the tenant alone', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    for (const tenant of [mine, theirs]) await of(tenant).insert('passages', [passage('a'), passage('b')], 't');
    await of(mine).remove('passages', 'tenant_id', theirs);
    expect(await of(theirs).query(allOf)).toHaveLength(2);
    await of(mine).remove('passages', 'tenant_id', mine);
    await of(mine).remove('passages', 'tenant_id', mine);
    expect([await of(mine).query(allOf), await of(theirs).query(allOf)]).toEqual([[], expect.objectContaining({ length: 2 })]);
    expect(await codeOf(of(mine).remove('passages', 'id = id OR id', mine))).toBe('analytics.row_invalid');
    expect(await codeOf(of(mine).remove('passages', 'tenant_id', '1 OR 1'))).toBe('analytics.row_invalid');
  });

  test('deleted rows are taken out of the files, and nothing else is', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    for (const tenant of [mine, theirs]) await of(tenant).insert('passages', [passage('a'), passage('b')], 't');
    await of(mine).remove('passages', 'tenant_id', mine);
    const { url, username, password } = it_.server;
    const client = createClient({ url, username, password, database: it_.database });
    const marked = async () => {
      const query = 'SELECT count() AS n FROM system.parts WHERE database = currentDatabase() AND active AND has_lightweight_delete';
      return Number(((await (await client.query({ query, format: 'JSONEachRow' })).json()) as { n: number | string }[])[0]?.n);
    };
    expect(await marked()).toBeGreaterThan(0);
    expect(await it_.analytics.purge()).toBeGreaterThan(0);
    expect(await marked()).toBe(0);
    expect(await it_.analytics.purge()).toBe(0);
    expect([await of(mine).query(allOf), await of(theirs).query(allOf)]).toEqual([[], expect.objectContaining({ length: 2 })]);
    await client.close();
  });

  test('all rows of a tenant are deleted in every table, and counted', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    for (const tenant of [mine, theirs]) await of(tenant).insert('passages', [passage('a'), passage('b')], 't');
    expect(await of(mine).removeAll()).toMatchObject({ passages: 2 });
    expect(await of(mine).removeAll()).toEqual({});
    expect([await of(mine).query(allOf), await of(theirs).query(allOf)]).toEqual([[], expect.objectContaining({ length: 2 })]);
  });

  test('SQL without the tenant, and SQL that would change something, is refused', async () => {
    const tenant = of(randomUUID());
    expect(await codeOf(tenant.query('SELECT 1'))).toBe('analytics.tenant_missing');
    expect(await codeOf(tenant.query("SELECT '{tenant:UUID}' -- {tenant:UUID}"))).toBe('analytics.tenant_missing');
    expect(
      await codeOf(tenant.query('SELECT id FROM passages WHERE tenant_id = {tenant:UUID} SETTINGS additional_table_filters = {}')),
    ).toBe('analytics.failed');
    expect(await codeOf(tenant.query('ALTER TABLE passages DELETE WHERE tenant_id != {tenant:UUID}'))).toBe('analytics.failed');
    expect(await codeOf(tenant.query('SELECT nonsense FROM passages WHERE tenant_id = {tenant:UUID}'))).toBe('analytics.failed');
    expect(() => of("x' OR 1")).toThrow('analytics.tenant_missing');
    expect(await codeOf(it_.analytics.ingest('passages', [{ tenant_id: 'x', ...passage('a') }], 't'))).toBe('analytics.row_invalid');
    expect(await codeOf(tenant.insert('passages; DROP', [passage('a')], 't'))).toBe('analytics.row_invalid');
  });

  test('a token inserts once, also through a materialized view, and a changed row replaces the old one', async () => {
    const tenantId = randomUUID();
    const rows = [passage('a'), passage('b', { camera: 'yard' }), passage('c')];
    for (let again = 0; again < 3; again++) await of(tenantId).insert('passages', rows, 'batch 1');
    const perCamera = () =>
      of(tenantId).query(
        'SELECT camera, sum(passages) AS n FROM passages_per_camera WHERE tenant_id = {tenant:UUID} GROUP BY camera ORDER BY camera',
      );
    expect(await perCamera()).toEqual([
      { camera: 'gate', n: 2 },
      { camera: 'yard', n: 1 },
    ]);
    await of(tenantId).insert('passages', [passage('a', { score: 0.9, version: 2 })], 'batch 2');
    await of(tenantId).insert('passages', [passage('a', { score: 0.1, version: 1 })], 'late');
    expect(
      await of(tenantId).query("SELECT count() AS n, max(if(id = 'a', score, 0)) AS a FROM passages FINAL WHERE tenant_id = {tenant:UUID}"),
    ).toEqual([{ n: 3, a: 0.9 }]);
    const other = randomUUID();
    await of(other).insert('passages', rows, 'batch 1');
    expect(await of(other).query(allOf)).toHaveLength(3);
    await it_.analytics.ingest(
      'passages',
      [tenantId, other].map((each) => ({ ...passage('mixed'), tenant_id: each })),
      'batch 3',
    );
    for (const each of [tenantId, other]) expect((await of(each).query<{ id: string }>(allOf)).map((row) => row.id)).toContain('mixed');
  });

  test('values come back as they went in', async () => {
    const tenantId = randomUUID();
    const nasty = 'it\'s {x:String}; \\n "q"\t\n-- 摄像头 🚪';
    await of(tenantId).insert('passages', [passage(nasty, { version: 1_760_000_000_123 })], 't');
    expect(
      await of(tenantId).query(
        'SELECT id, seen_at, version FROM passages WHERE tenant_id = {tenant:UUID} AND id = {id:String} AND has({cameras:Array(String)}, camera)',
        {
          id: nasty,
          cameras: ["o'clock \\", 'gate'],
        },
      ),
    ).toEqual([{ id: nasty, seen_at: '2026-03-01T08:00:00.123Z', version: 1_760_000_000_123 }]);
  });

  test('many callers at once get their own answers', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const tenantId = randomUUID();
        const [row] = await of(tenantId).query<{ t: string; n: number }>('SELECT {tenant:UUID} AS t, {n:UInt32} AS n', { n });
        return row?.t === tenantId && row.n === n;
      }),
    );
    expect(answers.every(Boolean)).toBe(true);
  });

  test('speaks to the unmodified client as ClickHouse does', async () => {
    const { url, username, password } = it_.server;
    const client = createClient({ url, username, password, database: 'default', log: { level: ClickHouseLogLevel.OFF } });
    expect(await client.ping({ select: true })).toMatchObject({ success: true });
    await client.command({ query: 'CREATE TABLE numbers_kept (n UInt64) ENGINE = MergeTree ORDER BY n' });
    async function* rows() {
      for (let n = 0; n < 20_000; n++) yield { n };
    }
    const { Readable } = await import('node:stream');
    await client.insert({ table: 'numbers_kept', values: Readable.from(rows(), { objectMode: true }), format: 'JSONEachRow' });
    await client.insert({ table: 'numbers_kept', values: [], format: 'JSONEachRow' });
    const csv = await client.query({ query: 'SELECT count() AS c, sum(n) AS s FROM numbers_kept', format: 'CSVWithNames' });
    expect(await csv.text()).toBe('"c","s"\n20000,199990000\n');
    let streamed = 0;
    const big = await client.query({
      query: 'SELECT n, repeat(toString(n), 20) AS text FROM numbers_kept',
      format: 'JSONEachRow',
      clickhouse_settings: { max_block_size: '1000' },
    });
    for await (const chunk of big.stream()) streamed += chunk.length;
    expect(streamed).toBe(20_000);
    await expect(client.query({ query: 'SELECT * FROM nowhere' })).rejects.toMatchObject({ code: '60', type: 'UNKNOWN_TABLE' });
    await expect(client.command({ query: 'SELECT 1; SELECT 2' })).rejects.toMatchObject({ code: '62' });
    await expect(client.query({ query: 'SELECT {x:UInt8}' })).rejects.toMatchObject({ code: '456' });
    await client.close();
    const wrong = createClient({ url, username, password: 'guessed', log: { level: ClickHouseLogLevel.OFF } });
    await expect(wrong.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' });
    await wrong.close();
    expect((await fetch(`${url}/ping`)).status).toBe(200);
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const tooBig = await fetch(url, { method: 'POST', headers: { authorization }, body: Buffer.alloc(65 * 1024 * 1024, 32) }).catch(() => ({
      status: 413,
    }));
    expect(tooBig.status).toBe(413);
  });

  test('what was inserted is there after a kill -9; callers see it as unavailable until it is back', async () => {
    const tenantId = randomUUID();
    await of(tenantId).insert('passages', [passage('kept')], 't');
    const pid = it_.server.pid() as number;
    process.kill(pid, 'SIGKILL');
    const codes = new Set<string>();
    await until(async () => {
      const code = await codeOf(of(tenantId).query(allOf));
      codes.add(code);
      return code === 'nothing was wrong' && it_.server.pid() !== pid;
    }, 'it answers again');
    expect([...codes].filter((code) => code !== 'analytics.unavailable' && code !== 'nothing was wrong')).toEqual([]);
    expect(await of(tenantId).query(allOf)).toEqual([{ id: 'kept', camera: 'gate', score: 0.5 }]);
    await of(tenantId).insert('passages', [passage('kept'), passage('not inserted: the token is known')], 't');
    expect(await of(tenantId).query(allOf)).toHaveLength(1);
  });

  test('migrations run once; a changed one is refused', async () => {
    await it_.analytics.migrate('search', folder);
    const own = await mkdtemp(join(tmpdir(), 'star-migrations-'));
    await writeFile(join(own, '0001_create_x.sql'), 'CREATE TABLE IF NOT EXISTS x (a UInt8) ENGINE = Memory;\n');
    await it_.analytics.migrate('x', own);
    await writeFile(join(own, '0001_create_x.sql'), 'CREATE TABLE IF NOT EXISTS x (a UInt16) ENGINE = Memory;\n');
    expect(await codeOf(it_.analytics.migrate('x', own))).toBe('analytics.migration_changed');
    await writeFile(join(own, 'x.sql'), '');
    expect(await codeOf(it_.analytics.migrate('y', own))).toBe('analytics.migration_misnamed');
    await rm(own, { recursive: true });
  });

  test('a server that is not there, and a folder that another process owns, have clear codes', async () => {
    const nowhere = openAnalytics({ url: 'http://127.0.0.1:9', username: 'x', password: 'x', database: 'x' });
    expect(await codeOf(nowhere.ping())).toBe('analytics.unavailable');
    await nowhere.close();
    const entry = { file: join(__dirname, '../src/analytics/server-main.ts'), execArgv: ['-r', join(__dirname, 'run-sources.cjs')] };
    expect(await codeOf(startEmbeddedAnalytics({ dataDir: it_.dataDir, entry }))).toBe('analytics.start_failed');
  });
});

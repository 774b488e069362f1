import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  createLeases,
  type Database,
  isUniqueViolation,
  migrate,
  openDatabase,
  platformMigrations,
  requireFence,
  type Tx,
} from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { Client } from 'pg';

const tenantA = '11111111-1111-4111-8111-111111111111';
const tenantB = '22222222-2222-4222-8222-222222222222';

let folder: string;
let database: TestDatabase;
let db: Database;

const createNotes = `CREATE TABLE demo.notes (
  id serial PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT platform.current_tenant(), text text NOT NULL, at_ms bigint NOT NULL DEFAULT 1700000000000,
  CONSTRAINT notes_text_unique UNIQUE (tenant_id, text));
SELECT platform.protect('demo.notes');
CREATE TABLE demo.audit (id serial PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT platform.current_tenant(), what text NOT NULL);
SELECT platform.protect('demo.audit'), platform.append_only('demo.audit');
CREATE TABLE demo.tenants (id uuid PRIMARY KEY, name text NOT NULL);
SELECT platform.protect('demo.tenants', 'id');
CREATE TABLE demo.counters (id int PRIMARY KEY, value int NOT NULL);
INSERT INTO demo.counters VALUES (1, 0), (2, 0);`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-migrations-'));
  await writeFile(join(folder, '0001_create_notes.sql'), createNotes);
  database = await testDatabase([{ service: 'demo', folder }]);
  db = database.db;
});
afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const asOwner = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
  const client = new Client({ connectionString: database.ownerUrl });
  await client.connect();
  return work(client).finally(() => client.end());
};

describe('tenants in the database', () => {
  beforeAll(async () => {
    await db.tenant(tenantA, (tx) => tx.execute("INSERT INTO demo.notes (text) VALUES ('a')"));
    await db.tenant(tenantB, (tx) => tx.execute("INSERT INTO demo.notes (text) VALUES ('b')"));
    await db.system('test', (tx) => tx.execute('INSERT INTO demo.tenants VALUES ($1, $2), ($3, $4)', [tenantA, 'A', tenantB, 'B']));
  });

  test('a tenant sees, changes and deletes its own rows only', async () => {
    expect(await db.tenant(tenantA, (tx) => tx.query('SELECT text FROM demo.notes'))).toEqual([{ text: 'a' }]);
    expect(await db.tenant(tenantA, (tx) => tx.query('SELECT name FROM demo.tenants'))).toEqual([{ name: 'A' }]);
    expect(await db.tenant(tenantA, (tx) => tx.execute("UPDATE demo.notes SET text = 'x' WHERE text = 'b'"))).toBe(0);
    expect(await db.tenant(tenantA, (tx) => tx.execute("DELETE FROM demo.notes WHERE text = 'b'"))).toBe(0);
    expect(await db.system('test', (tx) => tx.query('SELECT text FROM demo.notes ORDER BY 1'))).toEqual([{ text: 'a' }, { text: 'b' }]);
  });

  test('a row cannot be given to another tenant', async () => {
    const insert = "INSERT INTO demo.notes (tenant_id, text) VALUES ($1, 'planted')";
    await expect(db.tenant(tenantA, (tx) => tx.execute(insert, [tenantB]))).rejects.toMatchObject({ code: '42501' });
    await expect(db.tenant(tenantA, (tx) => tx.execute('UPDATE demo.notes SET tenant_id = $1', [tenantB]))).rejects.toMatchObject({
      code: '42501',
    });
  });

  test('without a tenant nothing is seen, also on a connection that served one before', async () => {
    const client = new Client({ connectionString: database.appUrl });
    await client.connect();
    try {
      const count = async () => (await client.query('SELECT FROM demo.notes')).rowCount;
      expect(await count()).toBe(0);
      await client.query(`BEGIN; SET LOCAL app.tenant_id = '${tenantA}'`);
      expect(await count()).toBe(1);
      await client.query('COMMIT');
      expect(await count()).toBe(0);
      // What only migrations may set is nothing to this role; the role for work across tenants ends with the transaction.
      await client.query("BEGIN; SET LOCAL app.system = 'on'");
      expect(await count()).toBe(0);
      await client.query('SET LOCAL ROLE star_system');
      expect(await count()).toBe(2);
      await client.query('ROLLBACK');
      expect(await count()).toBe(0);
    } finally {
      await client.end();
    }
  });

  test('a tenant that is no UUID never reaches the server', async () => {
    const injected = `${tenantA}'; SET LOCAL ROLE star_system --`;
    await expect(db.tenant(injected, (tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ code: 'database.tenant_invalid' });
    await db.system("it's", (tx) => tx.query('SELECT 1'));
  });

  test('a query that leaves the tenant to row security is served by the index that serves one naming it', async () => {
    await asOwner(async (client) => {
      await client.query(`SET app.system = 'on'; CREATE INDEX notes_by_time ON demo.notes (tenant_id, at_ms);
        INSERT INTO demo.notes (tenant_id, text, at_ms) SELECT gen_random_uuid(), n::text, n FROM generate_series(1, 5000) n; ANALYZE demo.notes`);
    });
    const plan = async (where: string) => {
      const rows = await db.tenant(tenantA, (tx) =>
        tx.query<{ 'QUERY PLAN': string }>(`EXPLAIN (COSTS OFF) SELECT text FROM demo.notes ${where} ORDER BY at_ms LIMIT 10`),
      );
      return rows.map((row) => row['QUERY PLAN'].trim()).join('\n');
    };
    expect(await plan('')).toMatch(/Index Scan using notes_by_time on notes\nIndex Cond: \(tenant_id = /);
    await asOwner((client) =>
      client.query("SET app.system = 'on'; DROP INDEX demo.notes_by_time; DELETE FROM demo.notes WHERE at_ms <= 5000"),
    );
  });

  test('every table with a tenant has row security enabled and forced, in every schema', async () => {
    const tables = await asOwner(async (client) => {
      const { rows } = await client.query(`
        SELECT c.table_schema || '.' || c.table_name AS name, p.relrowsecurity AND p.relforcerowsecurity AS safe
        FROM information_schema.columns c JOIN pg_class p ON p.oid = format('%I.%I', c.table_schema, c.table_name)::regclass
        WHERE c.column_name = 'tenant_id' AND p.relkind IN ('r', 'p') AND c.table_schema NOT IN ('pg_catalog', 'information_schema')`);
      return rows as { name: string; safe: boolean }[];
    });
    expect(tables.length).toBeGreaterThanOrEqual(2);
    expect(tables.filter((table) => !table.safe)).toEqual([]);
  });

  test('the services neither own, nor bypass, nor rewrite the logs or the list of migrations', async () => {
    const ask = (tx: Tx) => tx.query('SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user');
    const plain = { rolsuper: false, rolbypassrls: false };
    expect(await db.tenant(tenantA, ask)).toEqual([{ rolname: 'star_app', ...plain }]);
    expect(await db.system('test', ask)).toEqual([{ rolname: 'star_system', ...plain }]);
    const refused = { code: '42501' };
    await db.tenant(tenantA, (tx) => tx.execute("INSERT INTO demo.audit (what) VALUES ('seen')"));
    for (const sql of [
      "UPDATE demo.audit SET what = 'nothing'",
      'DELETE FROM demo.audit',
      'TRUNCATE demo.audit',
      'DELETE FROM platform.migrations',
      'ALTER TABLE demo.notes DISABLE ROW LEVEL SECURITY',
    ]) {
      await expect(db.tenant(tenantA, (tx) => tx.execute(sql))).rejects.toMatchObject(refused);
      await expect(db.system('test', (tx) => tx.execute(sql))).rejects.toMatchObject(refused);
    }
  });
});

describe('transactions', () => {
  test('roll back when the work throws, and constraints can be told apart', async () => {
    const insert = "INSERT INTO demo.notes (text) VALUES ('once')";
    await expect(
      db.tenant(tenantA, async (tx) => {
        await tx.execute(insert);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    await db.tenant(tenantA, (tx) => tx.execute(insert));
    const twice = await db.tenant(tenantA, (tx) => tx.execute(insert)).catch((error: unknown) => error);
    expect([isUniqueViolation(twice), isUniqueViolation(twice, 'notes_text_unique'), isUniqueViolation(twice, 'other')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('a deadlock is run again until both went through', async () => {
    let runs = 0;
    const both = (first: number, second: number) =>
      db.system('test', async (tx) => {
        runs++;
        await tx.execute('UPDATE demo.counters SET value = value + 1 WHERE id = $1', [first]);
        await sleep(100);
        await tx.execute('UPDATE demo.counters SET value = value + 1 WHERE id = $1', [second]);
      });
    await Promise.all([both(1, 2), both(2, 1)]);
    expect(runs).toBeGreaterThan(2);
    expect(await db.system('test', (tx) => tx.query('SELECT value FROM demo.counters'))).toEqual([{ value: 2 }, { value: 2 }]);
  });

  test('bigint is a number, and one beyond 2^53 is refused', async () => {
    const [row] = await db.tenant(tenantA, (tx) => tx.query('SELECT at_ms, count(*) OVER () AS n FROM demo.notes LIMIT 1'));
    expect(row).toMatchObject({ at_ms: 1_700_000_000_000, n: expect.any(Number) });
    await expect(db.system('test', (tx) => tx.query('SELECT 9007199254740993::bigint'))).rejects.toThrow(RangeError);
  });

  test('a statement that takes too long, and a server that is not there, have codes that may be retried', async () => {
    const hasty = openDatabase({ url: database.appUrl, statementTimeoutMs: 50, poolSize: 1 });
    await expect(hasty.system('test', (tx) => tx.query('SELECT pg_sleep(5)'))).rejects.toMatchObject({
      code: 'database.timeout',
      retry: true,
    });
    await hasty.ping();
    await hasty.close();
    const lost = openDatabase({ url: 'postgres://a:b@127.0.0.1:1/x' });
    await expect(lost.ping()).rejects.toMatchObject({ code: 'database.unavailable', retry: true });
    await expect(lost.system('test', (tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ code: 'database.unavailable' });
    await lost.close();
  });

  test('a connection that is cut does not poison the pool', async () => {
    const single = openDatabase({ url: database.appUrl, poolSize: 1 });
    const cut = single.tenant(tenantA, (tx) => tx.query('SELECT pg_terminate_backend(pg_backend_pid())'));
    await expect(cut).rejects.toMatchObject({ code: 'database.unavailable' });
    await single.ping();
    await single.close();
  });

  test('LISTEN hears, and after a break is set up again and says so', async () => {
    const stop = new AbortController();
    const heard: string[] = [];
    await db.listen('demo_changed', (payload) => heard.push(payload), stop.signal);
    const until = async (done: () => boolean) => {
      for (let tries = 0; !done() && tries < 250; tries++) await sleep(20);
    };
    await db.system('test', (tx) => tx.query("SELECT pg_notify('demo_changed', 'one')"));
    await until(() => heard.length === 1);
    await db.tenant(tenantA, (tx) => tx.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"));
    await until(() => heard.length === 2);
    await db.system('test', (tx) => tx.query("SELECT pg_notify('demo_changed', 'two')"));
    await until(() => heard.length === 3);
    stop.abort();
    expect(heard).toEqual(['one', '', 'two']);
  });
});

describe('migrations', () => {
  let own: string;
  beforeEach(async () => {
    own = await mkdtemp(join(tmpdir(), 'star-migrations-'));
  });
  afterEach(() => rm(own, { recursive: true }));
  const file = (name: string, sql: string) => writeFile(join(own, name), sql);
  const tables = (schema: string) =>
    asOwner(async (client) => {
      const { rows } = await client.query('SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1', [schema]);
      return rows.map((row: { tablename: string }) => row.tablename);
    });

  test('are applied once, in order, and a second start changes nothing', async () => {
    await file('0001_one.sql', 'CREATE TABLE twice.one (id int)');
    await migrate(database.ownerUrl, 'twice', own);
    await file('0002_two.sql', 'CREATE TABLE twice.two (id int)');
    await migrate(database.ownerUrl, 'twice', own);
    await migrate(database.ownerUrl, 'twice', own);
    expect(await tables('twice')).toEqual(['one', 'two']);
  });

  test('a file that has changed since stops the start before anything new is applied', async () => {
    await file('0001_one.sql', 'CREATE TABLE changed.one (id int)');
    await migrate(database.ownerUrl, 'changed', own);
    await file('0001_one.sql', 'CREATE TABLE changed.one (id bigint)');
    await file('0002_two.sql', 'CREATE TABLE changed.two (id int)');
    await expect(migrate(database.ownerUrl, 'changed', own)).rejects.toMatchObject({
      code: 'migration.changed',
      params: { name: '0001_one.sql' },
    });
    expect(await tables('changed')).toEqual(['one']);
  });

  test('one that fails leaves nothing of itself and can be mended', async () => {
    await file('0001_one.sql', 'CREATE TABLE failing.one (id int); SELECT 1/0;');
    await expect(migrate(database.ownerUrl, 'failing', own)).rejects.toMatchObject({ code: 'migration.failed' });
    expect(await tables('failing')).toEqual([]);
    await file('0001_one.sql', 'CREATE TABLE failing.one (id int)');
    await migrate(database.ownerUrl, 'failing', own);
    expect(await tables('failing')).toEqual(['one']);
  });

  test('a gap or a name that does not fit is refused', async () => {
    await file('0002_two.sql', 'SELECT 1');
    await expect(migrate(database.ownerUrl, 'named', own)).rejects.toMatchObject({ code: 'migration.misnamed' });
  });

  test('two processes at once: one applies each file, the other finds it done', async () => {
    for (let n = 1; n <= 5; n++) await file(`000${n}_t.sql`, `CREATE TABLE raced.t${n} (id int); SELECT pg_sleep(0.05);`);
    const run = () =>
      promisify(execFile)(process.execPath, ['-r', './run-sources.cjs', './migrate-once.ts', database.ownerUrl, 'raced', own], {
        cwd: __dirname,
      });
    const outputs = await Promise.all([run(), run()]);
    expect(outputs.map((output) => Number(output.stdout)).reduce((a, b) => a + b)).toBe(5);
    expect(await tables('raced')).toHaveLength(5);
  });

  test('rows of a newer release are left alone by an older one', async () => {
    await file('0001_one.sql', 'CREATE TABLE newer.one (id int)');
    await file('0002_two.sql', 'CREATE TABLE newer.two (id int)');
    await migrate(database.ownerUrl, 'newer', own);
    const older = join(own, 'older');
    await mkdir(older);
    await writeFile(join(older, '0001_one.sql'), 'CREATE TABLE newer.one (id int)');
    await migrate(database.ownerUrl, 'newer', older);
    expect(await tables('newer')).toEqual(['one', 'two']);
  });

  test('without the role for work across tenants nothing starts, and the error says what to run', async () => {
    const migrated = migrate(database.ownerUrl, 'platform', platformMigrations, { systemRole: 'nobody here' });
    await expect(migrated).rejects.toMatchObject({
      code: 'migration.roles_missing',
      params: { run: expect.stringContaining('CREATE ROLE "nobody here" NOLOGIN; ALTER ROLE "star_app" NOINHERIT') },
    });
  });

  test('tables whose rows were secured by a setting are brought over to roles, append-only logs as such', async () => {
    const name = `old_${randomBytes(6).toString('hex')}`;
    await asOwner((client) => client.query(`CREATE DATABASE ${name}`));
    const at = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
    const before = (await readdir(platformMigrations)).sort().slice(0, 4);
    const client = new Client({ connectionString: at(database.ownerUrl) });
    await client.connect();
    await client.query(`SELECT set_config('star.app_role', 'star_app', false), set_config('app.system', 'on', false);
      CREATE SCHEMA platform; CREATE SCHEMA demo; GRANT USAGE ON SCHEMA platform, demo TO star_app;
      ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO star_app;
      ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO star_app;
      CREATE TABLE platform.migrations (service text, number integer, name text, sha256 text, applied_at timestamptz DEFAULT now(),
        PRIMARY KEY (service, number));`);
    for (const [index, file] of before.entries()) {
      const sql = await readFile(join(platformMigrations, file), 'utf8');
      await client.query(sql);
      const row = ['platform', index + 1, file, createHash('sha256').update(sql).digest('hex')];
      await client.query('INSERT INTO platform.migrations VALUES ($1, $2, $3, $4)', row);
    }
    await client.query(createNotes);
    await client.query(`INSERT INTO demo.notes (tenant_id, text) VALUES ('${tenantA}', 'a'), ('${tenantB}', 'b')`);
    await client.end();
    await writeFile(join(own, '0001_create_notes.sql'), 'SELECT 1');
    await migrate(at(database.ownerUrl), 'demo', own);

    const old = openDatabase({ url: at(database.appUrl), poolSize: 2 });
    try {
      const insert = "INSERT INTO demo.notes (tenant_id, text) VALUES ($1, 'c')";
      await old.system('test', (tx) => tx.execute(insert, [tenantB]));
      const texts = (tx: Tx) => tx.query<{ text: string }>('SELECT text FROM demo.notes ORDER BY text');
      expect((await old.tenant(tenantA, texts)).map((row) => row.text)).toEqual(['a']);
      expect((await old.system('test', texts)).map((row) => row.text)).toEqual(['a', 'b', 'c']);
      await expect(old.system('test', (tx) => tx.execute('DELETE FROM demo.audit'))).rejects.toMatchObject({ code: '42501' });
      const policies = await old.system('test', (tx) =>
        tx.query('SELECT policyname, roles::text[] FROM pg_policies WHERE qual LIKE $1 AND NOT $2 = ANY (roles)', [
          '%app.system%',
          'star_owner',
        ]),
      );
      expect(policies).toEqual([]);
    } finally {
      await old.close();
      await asOwner((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    }
  });
});

describe('leases', () => {
  /** Also when it was before anybody listened: on a busy machine a lease is short. */
  const aborted = (signal: AbortSignal) =>
    new Promise<void>((done) => {
      if (signal.aborted) done();
      else signal.addEventListener('abort', () => done());
    });

  test('one holder at a time, each with a higher fence', async () => {
    const [one, two] = [createLeases(db), createLeases(db)];
    const fences: number[] = [];
    let inside = 0;
    const work = async (fence: number) => {
      expect(++inside).toBe(1);
      fences.push(fence);
      await sleep(10);
      inside--;
    };
    await Promise.all([one, two, one, two].map((leases) => leases.withLease('single', 3000, work)));
    expect(fences).toEqual([1, 2, 3, 4]);
  });

  test('a taken one is not had without waiting', async () => {
    await createLeases(db).withLease('taken', 5000, async () => {
      expect(await createLeases(db).tryLease('taken', 5000, async () => 'mine')).toBeUndefined();
    });
    expect(await createLeases(db).tryLease('taken', 5000, async () => 'mine')).toBe('mine');
  });

  test('is renewed for as long as the work takes', async () => {
    // Long enough for a busy machine to renew in time, and outlived twice.
    await createLeases(db).withLease('long', 1500, async (_, signal) => {
      for (let tries = 0; tries < 7; tries++) {
        await sleep(500);
        expect(await createLeases(db).tryLease('long', 1500, async () => 'stolen')).toBeUndefined();
      }
      expect(signal.aborted).toBe(false);
    });
  });

  test('a lost lease aborts the work, and its late write is refused by the fence', async () => {
    const leases = createLeases(db);
    let late: unknown;
    const held = leases.withLease('lost', 1000, async (fence, signal) => {
      // What a long pause of this process amounts to: another has taken over meanwhile.
      await db.system('test', (tx) => tx.execute("UPDATE platform.leases SET fence = fence + 1, holder = 'another' WHERE name = 'lost'"));
      late = await db.system('test', (tx) => requireFence(tx, 'lost', fence)).catch((error: unknown) => error);
      await aborted(signal);
      return 'too late';
    });
    await expect(held).rejects.toMatchObject({ code: 'lease.lost' });
    expect(late).toMatchObject({ code: 'lease.lost' });
  });

  test('without the database the work is stopped when the lease runs out', async () => {
    const cutOff = openDatabase({ url: database.appUrl, poolSize: 1 });
    const held = createLeases(cutOff).withLease('cut', 200, async (_, signal) => {
      await cutOff.close();
      await aborted(signal);
    });
    await expect(held).rejects.toMatchObject({ code: 'lease.lost' });
    expect(await createLeases(db).withLease('cut', 200, async (fence) => fence)).toBe(2);
  });

  test('leadership passes on when the leader stops', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const led: string[] = [];
    const lead = (name: string, stop: AbortController) =>
      createLeases(db).lead(
        'leader',
        1500,
        async (_, signal) => {
          led.push(name);
          await aborted(signal);
        },
        stop.signal,
      );
    const one = lead('one', first);
    while (led.length < 1) await sleep(10);
    const two = lead('two', second);
    await sleep(1600);
    expect(led).toEqual(['one']);
    first.abort();
    await one;
    while (led.length < 2) await sleep(10);
    second.abort();
    await two;
    expect(led).toEqual(['one', 'two']);
  });
});

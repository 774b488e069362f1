/** Real: an embedded PostgreSQL under a data folder, as Star keeps it, and the command itself. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type Database,
  type EmbeddedPostgres,
  loadSigningKey,
  migrate,
  openDatabase,
  openDiskObjects,
  platformMigrations,
  startEmbeddedPostgres,
} from '@star/platform';
import { createAudit, recordAudit, tenantsMigrations } from '@star/tenants';
import { Client } from 'pg';
import { auditCommand } from '../src/commands/audit';
import { commandSettings } from '../src/commands/command';
import { auditHeadsFolder, auditKeyPath } from '../src/secrets';

const tenantId = '0a000000-0000-4000-8000-000000000001';
let data: string;
let postgres: EmbeddedPostgres;
let database: Database;

const verify = async (...args: string[]) => {
  const said: string[] = [];
  const code = await auditCommand.run(['verify', ...args], {
    settings: commandSettings.parse({ STAR_DATA: data }),
    say: (line) => said.push(line),
  });
  return { code, said };
};

const asOwner = async (...statements: string[]) => {
  const client = new Client({ connectionString: postgres.ownerUrl });
  await client.connect();
  for (const sql of ["SET app.system = 'on'", ...statements]) await client.query(sql);
  await client.end();
};

const audit = async (now: Date) => {
  const objects = await openDiskObjects({
    folder: join(data, 'objects'),
    secret: 'x'.repeat(32),
    publicUrl: 'http://s.test',
    maxBytes: 1e6,
  });
  const key = await loadSigningKey(auditKeyPath(data));
  return createAudit({ database, objects, key, headsFolder: auditHeadsFolder(data), now: () => now });
};

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'star-audit-command-'));
  postgres = await startEmbeddedPostgres({ dataDir: join(data, 'postgres'), durable: false });
  await migrate(postgres.ownerUrl, 'platform', platformMigrations);
  await migrate(postgres.ownerUrl, 'tenants', tenantsMigrations);
  database = openDatabase({ url: postgres.appUrl });
  await database.tenant(tenantId, (tx) => tx.execute("INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, 'East')", [tenantId]));
  for (let i = 1; i <= 5; i++)
    await database.tenant(tenantId, (tx) => recordAudit(tx, { tenantId, username: 'guo', action: 'thing.done', subject: `${i}` }));
  await (await audit(new Date('2026-11-21T01:00:00Z'))).exportHeads();
});

afterAll(async () => {
  await database?.close();
  await postgres?.stop();
  await rm(data, { recursive: true, force: true });
});

describe('star audit verify', () => {
  it('finds the running database and says that the log is whole', async () => {
    const { code, said } = await verify();
    expect(said[0]).toMatch(new RegExp(`^tenant ${tenantId}: 5 lines, whole, head [0-9a-f]{64}$`));
    expect(said.at(-1)).toBe('1 tenants checked against 1 exported heads, the newest of 2026-11-21; 0 tampered with');
    expect(code).toBe(0);
  });

  it('starts the database when Star does not run', async () => {
    await database.close();
    await postgres.stop();
    expect((await verify('--tenant', tenantId)).code).toBe(0);
    postgres = await startEmbeddedPostgres({ dataDir: join(data, 'postgres'), durable: false });
  });

  it('names what was removed and altered', async () => {
    await asOwner('DELETE FROM tenants.audit_log WHERE id = 2', "UPDATE tenants.audit_log SET subject = 'x' WHERE id = 4");
    const { code, said } = await verify('--tenant', tenantId);
    expect(said.slice(1, 3)).toEqual(['  line 2 (place 2) was removed', '  line 4 (place 4) was altered']);
    expect(code).toBe(1);
  });

  it('finds by a head kept elsewhere that everything is gone, with the exports on this machine removed too', async () => {
    const elsewhere = join(data, 'kept.jws');
    await copyFile(join(auditHeadsFolder(data), '2026-11-21.jws'), elsewhere);
    await rm(auditHeadsFolder(data), { recursive: true });
    await asOwner('DELETE FROM tenants.audit_chain', 'DELETE FROM tenants.audit_log', 'DELETE FROM tenants.audit_checks');
    const alone = await verify();
    expect([alone.code, alone.said.at(-1)]).toEqual([0, '1 tenants checked against no exported head; 0 tampered with']);
    const { code, said } = await verify('--head', elsewhere);
    expect(said[1]).toBe('  places 1 to 5 were cut off: an exported head has them');
    expect(code).toBe(1);
  });

  it('says up to where retention removed lines, and that the rest is whole', async () => {
    database = openDatabase({ url: postgres.appUrl });
    await database.tenant(tenantId, (tx) => recordAudit(tx, { tenantId, username: 'guo', action: 'thing.done', subject: 'old' }));
    await asOwner("UPDATE tenants.audit_log SET at = '2020-01-01'");
    const now = new Date();
    const log = await audit(now);
    await log.exportHeads();
    expect(await log.expire(new AbortController().signal)).toBe(0);
    await log.linkAudit();
    const { code, said } = await verify('--tenant', tenantId);
    expect(said[0]).toMatch(/: 2 lines, whole, head/);
    expect(said[1]).toMatch(
      new RegExp(`^  cut by retention up to line 1 on ${now.toISOString()}: all older than .* \\(settings version 0\\)$`),
    );
    expect(code).toBe(0);
    await asOwner('DELETE FROM tenants.audit_cuts');
    expect((await verify('--tenant', tenantId)).said.slice(1)).toContain('  line 6 (place 1) was removed');
  });

  it('refuses what it is not for', async () => {
    await expect(verify('--tenant', 'east')).rejects.toThrow('takes the id');
    await expect(verify('--other')).rejects.toThrow('--other');
    await expect(verify('--head', join(data, 'none.jws'))).rejects.toThrow('ENOENT');
    const star = promisify(execFile)(process.execPath, [join(__dirname, '../bin/star.js'), 'unknown']);
    await expect(star).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('star audit verify') });
  });
});

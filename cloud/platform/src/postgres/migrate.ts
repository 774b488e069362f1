import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { defineErrors } from '../errors/app-error';
import { type Log, systemRole } from './open-database';

export interface MigrateOptions {
  /** The role the services connect as; it gets what it needs on every table the migrations create. `star_app` unless told. */
  readonly role?: string;
  /** The role they take for work across tenants; gets the same. `star_system` unless told. */
  readonly systemRole?: string;
  readonly log?: Log;
}

export const migrationErrors = defineErrors({
  'migration.changed': 'internal',
  'migration.out_of_order': 'internal',
  'migration.misnamed': 'internal',
  'migration.failed': 'internal',
  'migration.roles_missing': 'internal',
});

/** The platform's own tables; `migrate` brings them up before any service's. */
export const platformMigrations = join(__dirname, '../../migrations');

interface MigrationFile {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/**
 * Brings the schema named like the service up to date: plain files `0001_create_x.sql`, numbered without gaps, each
 * in its own transaction together with its row in `platform.migrations`. Any number of processes may call it at
 * once; one works, the others wait and find nothing left. A file that was applied and has changed since, or a new
 * number below an applied one, is an error: nothing is applied then. Rows unknown to this folder are left alone, so
 * that the previous release can still start. SQL names every table with its schema; no search_path is set.
 * Runs as the owner of the database with `app.system` on, so that a migration may rewrite protected rows.
 */
export async function migrate(ownerUrl: string, service: string, folder: string, options: MigrateOptions = {}): Promise<void> {
  const roles: Roles = { app: options.role ?? 'star_app', system: options.systemRole ?? systemRole };
  const client = new Client({ connectionString: ownerUrl, application_name: 'star migrate' });
  client.on('error', () => {});
  await client.connect();
  try {
    // One lock for all services: the platform's functions come first, and two CREATE SCHEMA at once collide.
    await client.query("SELECT pg_advisory_lock(hashtextextended('star.migrations', 0))");
    await requireRoles(client, roles);
    await client.query(
      "SELECT set_config('star.app_role', $1, false), set_config('star.system_role', $2, false), set_config('app.system', 'on', false)",
      [roles.app, roles.system],
    );
    await client.query("SET client_min_messages = 'warning'");
    await client.query('CREATE SCHEMA IF NOT EXISTS platform');
    await client.query(`CREATE TABLE IF NOT EXISTS platform.migrations (
      service text NOT NULL, number integer NOT NULL, name text NOT NULL, sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(), CONSTRAINT migrations_pkey PRIMARY KEY (service, number))`);
    await applyFolder(client, 'platform', platformMigrations, roles, options.log);
    if (service !== 'platform') await applyFolder(client, service, folder, roles, options.log);
  } finally {
    await client.end().catch(() => {});
  }
}

interface Roles {
  readonly app: string;
  readonly system: string;
}

/**
 * An operator's own PostgreSQL may lack the second role; the error says what to run there. A services' role that inherited
 * it would see every tenant at all times.
 */
async function requireRoles(client: Client, { app, system }: Roles): Promise<void> {
  const { rows } = await client.query<{ member: boolean | null; inherits: boolean | null }>(
    `SELECT pg_has_role(a.oid, s.oid, 'MEMBER') AS member, pg_has_role(a.oid, s.oid, 'USAGE') AS inherits
     FROM pg_roles a, pg_roles s WHERE a.rolname = $1 AND s.rolname = $2`,
    [app, system],
  );
  if (rows[0]?.member && !rows[0].inherits) return;
  const [a, s] = [escapeIdentifier(app), escapeIdentifier(system)];
  throw migrationErrors.error('migration.roles_missing', {
    run: `CREATE ROLE ${s} NOLOGIN; ALTER ROLE ${a} NOINHERIT; REVOKE ${s} FROM ${a}; GRANT ${s} TO ${a};`,
  });
}

async function applyFolder(client: Client, service: string, folder: string, roles: Roles, log?: Log): Promise<void> {
  const files = await readMigrations(folder);
  const { rows } = await client.query<{ number: number; sha256: string }>(
    'SELECT number, sha256 FROM platform.migrations WHERE service = $1',
    [service],
  );
  const applied = new Map(rows.map((row) => [row.number, row.sha256]));
  const last = Math.max(0, ...applied.keys());
  for (const file of files) {
    const known = applied.get(file.number);
    if (known !== undefined && known !== file.sha256) throw migrationErrors.error('migration.changed', { service, name: file.name });
    if (known === undefined && file.number < last) throw migrationErrors.error('migration.out_of_order', { service, name: file.name });
  }
  const schema = escapeIdentifier(service);
  const to = `${escapeIdentifier(roles.app)}, ${escapeIdentifier(roles.system)}`;
  // Default privileges rather than a GRANT at the end: a migration can take a right away for good (append-only logs).
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ${to};
    ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${to};
    ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT USAGE, SELECT ON SEQUENCES TO ${to};`);
  for (const file of files.filter((each) => !applied.has(each.number))) await applyFile(client, service, file, log);
}

async function applyFile(client: Client, service: string, file: MigrationFile, log?: Log): Promise<void> {
  const row = [service, String(file.number), file.name, file.sha256].map(escapeLiteral).join(', ');
  await client.query('BEGIN');
  try {
    await client.query(file.sql);
    await client.query(`INSERT INTO platform.migrations (service, number, name, sha256) VALUES (${row})`);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw migrationErrors.error('migration.failed', { service, name: file.name }, error);
  }
  log?.info({ service, migration: file.name }, 'migration applied');
}

async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
      if (number !== index + 1) throw migrationErrors.error('migration.misnamed', { folder, name });
      const sql = await readFile(join(folder, name), 'utf8');
      return { number, name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

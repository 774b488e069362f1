import type { Tx } from '../postgres/database';

interface OwnTable {
  readonly name: string;
  readonly columns: string[];
  /** Tables of the schema that must be emptied first: they refer to this one. */
  readonly referred_by: string[];
}

/** Tables of a service that have a `tenant_id`, those first that nothing else refers to. */
async function ownTables(tx: Tx, schema: string): Promise<OwnTable[]> {
  const tables = await tx.query<OwnTable>(
    `SELECT c.relname AS name,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       coalesce((SELECT array_agg(DISTINCT r.relname::text) FROM pg_constraint f JOIN pg_class r ON r.oid = f.conrelid
         WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.conrelid <> c.oid), '{}') AS referred_by
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
       AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
     ORDER BY c.relname`,
    [schema],
  );
  const sorted: OwnTable[] = [];
  while (sorted.length < tables.length) {
    const done = new Set(sorted.map((table) => table.name));
    const next = tables.filter(
      (table) => !done.has(table.name) && table.referred_by.every((name) => done.has(name) || !tables.some((each) => each.name === name)),
    );
    if (next.length === 0) throw new Error(`the tables of ${schema} refer to each other in a circle`);
    sorted.push(...next);
  }
  return sorted;
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Row-level security says so too, but no index serves its rule, and nothing brings removed rows back. */
const ofTheTenant = `tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid`;

/** What nobody gets, not even whose it is: it opens doors. What is sealed would be of no use without Star's keys. */
const withheld = /(^|_)(hash|sha256|secret|sealed|password|token|embedding)(_|$)/;
const pageRows = 500;

/** A tenant may have more rows in a table than are read or removed in the time that a statement of a request may take. */
const takeYourTime = (tx: Tx) => tx.execute('SET LOCAL statement_timeout = 0');

/**
 * Every row of the tenant that a service keeps, table by table, in a transaction of that tenant: row-level security
 * decides whose they are. Columns with secrets are left out; bytea comes as base64.
 */
export async function* readTenantRows(
  tx: Tx,
  schema: string,
): AsyncGenerator<{ readonly table: string; readonly rows: readonly string[] }> {
  await takeYourTime(tx);
  for (const { name, columns } of (await ownTables(tx, schema)).reverse()) {
    const shown = columns.filter((column) => !withheld.test(column)).map(quoted);
    await tx.execute(
      `DECLARE tenant_rows NO SCROLL CURSOR FOR SELECT to_jsonb(t)::text AS row FROM (SELECT ${shown.join(', ')} FROM ${quoted(schema)}.${quoted(name)} WHERE ${ofTheTenant}) t`,
    );
    for (let rows = 1; rows > 0; ) {
      const page = await tx.query<{ row: string }>(`FETCH ${pageRows} FROM tenant_rows`);
      rows = page.length;
      if (rows > 0) yield { table: `${schema}.${name}`, rows: page.map((each) => each.row) };
    }
    await tx.execute('CLOSE tenant_rows');
  }
}

/** Deletes the tenant's rows of a service; answers how many by table. `keep` names tables without the schema. */
export async function removeTenantRows(tx: Tx, schema: string, keep: readonly string[] = []): Promise<Record<string, number>> {
  await takeYourTime(tx);
  const removed: Record<string, number> = {};
  for (const { name } of await ownTables(tx, schema)) {
    if (keep.includes(name)) continue;
    const rows = await tx.execute(`DELETE FROM ${quoted(schema)}.${quoted(name)} WHERE ${ofTheTenant}`);
    if (rows > 0) removed[`${schema}.${name}`] = rows;
  }
  return removed;
}

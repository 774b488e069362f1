import type { Analytics, ExportedRows } from '@star/platform';

const matchesAtOnce = 5000;
const searchesAtOnce = 1000;

/** Every match of a tenant, search by search, as rows of an export. What is added meanwhile may be missed. */
export async function* readAllMatches(analytics: Analytics, tenantId: string): AsyncGenerator<ExportedRows> {
  const own = analytics.forTenant(tenantId);
  for (let after = '', more = true; more; ) {
    const searches = await own.query<{ id: string }>(
      `SELECT toString(search_id) AS id FROM search_matches WHERE tenant_id = {tenant:UUID} AND toString(search_id) > {after:String}
       GROUP BY id ORDER BY id LIMIT {limit:UInt32}`,
      { after, limit: searchesAtOnce },
    );
    for (const { id } of searches) yield* matchesOf(analytics, tenantId, id);
    after = searches.at(-1)?.id ?? '';
    more = searches.length === searchesAtOnce;
  }
}

async function* matchesOf(analytics: Analytics, tenantId: string, searchId: string): AsyncGenerator<ExportedRows> {
  for (let after = '', more = true; more; ) {
    const rows = await analytics.forTenant(tenantId).query<{ match_id: string }>(
      `SELECT * FROM search_matches FINAL WHERE tenant_id = {tenant:UUID} AND search_id = {search:UUID} AND match_id > {after:String}
       ORDER BY match_id LIMIT {limit:UInt32}`,
      { search: searchId, after, limit: matchesAtOnce },
    );
    if (rows.length > 0) yield { table: 'search.matches', rows: rows.map((row) => JSON.stringify(row)) };
    after = rows.at(-1)?.match_id ?? '';
    more = rows.length === matchesAtOnce;
  }
}

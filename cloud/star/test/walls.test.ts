/**
 * The four walls between tenants, on a whole Star that two of them use: rows, analytics, objects, and the entrance. At
 * the last, ten thousand requests over every route; the seed is printed: FUZZ_SEED makes the same again, FUZZ_REQUESTS more.
 */
import { randomInt } from 'node:crypto';
import { Client } from 'pg';
import { type Furnished, furnish } from './support/furnish';
import { createShooter, wrongWith } from './support/fuzz';
import { type Answer, startWholeStar, type WholeStar } from './support/whole-star';

const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));
const requests = Number(process.env.FUZZ_REQUESTS ?? 10_000);
const atOnce = 8;

let star: WholeStar;
let east: Furnished;
let west: Furnished;

beforeAll(async () => {
  star = await startWholeStar();
  [east, west] = [await furnish(star, 'east'), await furnish(star, 'west')];
});
afterAll(() => star?.close());

async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return work(client).finally(() => client.end());
}

describe('rows', () => {
  /** What belongs to nobody or to all, beside the platform's own; a new table is a tenant's, unless it is put here. */
  const ofNobody = ['devices.hubs', 'search.packs', 'identity.log_in_failures'];
  const tables = () =>
    connected(star.ownerUrl, async (client) => {
      const { rows } = await client.query<{ name: string; tenant: boolean; forced: boolean; policies: number }>(`
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
          EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS tenant,
          (SELECT count(*)::int FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`);
      return rows;
    });

  it('of every table with a tenant are under forced row-level security, and every other table is known to be nobody’s', async () => {
    const all = await tables();
    const own = all.filter((table) => table.tenant);
    expect(own.length).toBeGreaterThan(20);
    expect(own.filter((table) => !table.forced || table.policies !== 3)).toEqual([]);
    const others = all.filter((table) => !table.tenant).map((table) => table.name);
    expect(others.filter((name) => !ofNobody.includes(name) && !name.startsWith('platform.'))).toEqual([]);
  });

  it('are not there for who forgets the tenant, and nobody else’s for who names one', async () => {
    const { settings } = star.base;
    const own = (await tables()).filter((table) => table.tenant && !table.name.startsWith('platform.'));
    await connected(settings.STAR_DATABASE_URL, async (client) => {
      for (const { name } of own) expect([name, (await client.query(`SELECT FROM ${name}`)).rowCount]).toEqual([name, 0]);
      let seen = 0;
      for (const { name } of own) {
        await client.query(`BEGIN; SET LOCAL app.tenant_id = '${west.tenantId}'`);
        const { rows } = await client.query<{ tenant_id: string }>(`SELECT tenant_id FROM ${name}`);
        seen += rows.length;
        expect([name, rows.filter((row) => row.tenant_id !== west.tenantId)]).toEqual([name, []]);
        await client.query('ROLLBACK');
      }
      expect(seen).toBeGreaterThan(15);
    });
  });

  it('cannot be reached around the wall by the services’ role', async () => {
    await connected(star.base.settings.STAR_DATABASE_URL, async (client) => {
      const { rows } = await client.query<{ rolsuper: boolean; rolbypassrls: boolean; rolcreaterole: boolean; rolname: string }>(
        'SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user',
      );
      expect(rows).toMatchObject([{ rolsuper: false, rolbypassrls: false, rolcreaterole: false }]);
      for (const { name } of (await tables()).filter((table) => table.tenant)) {
        for (const sql of [
          `ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY`,
          `ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`,
          `DROP POLICY tenant_only ON ${name}`,
        ])
          await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' });
      }
      for (const sql of ['SET ROLE postgres', `ALTER ROLE ${rows[0]?.rolname} BYPASSRLS`, 'SET SESSION AUTHORIZATION postgres'])
        await expect(client.query(sql)).rejects.toMatchObject({ code: expect.stringMatching(/42501|22023/) });
      // An honest error rather than rows: with it off, PostgreSQL refuses what a policy would filter.
      await client.query('SET row_security = off');
      await expect(client.query('SELECT FROM search.people')).rejects.toMatchObject({ code: '42501' });
    });
  });
});

describe('analytics', () => {
  it('show a tenant its own rows, also to a query that forgot to ask', async () => {
    const count = async (tenantId: string, sql: string) => (await star.base.analytics.forTenant(tenantId).query<{ n: number }>(sql))[0]?.n;
    const forgetful = 'SELECT count() AS n FROM search_matches WHERE tenant_id = {tenant:UUID} OR 1 = 1';
    expect([await count(east.tenantId, forgetful), await count(west.tenantId, forgetful)].map(Number)).toEqual([1, 1]);
    const union = `${forgetful.replace(' OR 1 = 1', '')} UNION ALL SELECT count() AS n FROM search_matches`;
    const rows = await star.base.analytics.forTenant(west.tenantId).query<{ n: number }>(union);
    expect(rows.map((row) => Number(row.n))).toEqual([1, 1]);
    await expect(star.base.analytics.forTenant(west.tenantId).query('SELECT count() AS n FROM search_matches')).rejects.toMatchObject({
      code: 'analytics.tenant_missing',
    });
  });
});

describe('objects', () => {
  const open = (url: string, method = 'GET') => {
    const { pathname, search } = new URL(url);
    return star.ask({ method, url: pathname + search });
  };
  const photoUrl = async () => {
    const headers = { authorization: `Bearer ${east.token}` };
    const answer = await star.ask({ method: 'GET', url: `/api/v1/people/${east.ids.personId}`, headers });
    return answer.body.photos[0].url as string;
  };

  it('are in the tenant’s own part, and no call of another reaches them', async () => {
    const key = decodeURIComponent(new URL(await photoUrl()).pathname).replace('/objects/', '');
    expect(key.startsWith(`${east.tenantId}/`)).toBe(true);
    const refused = { code: 'object.key_invalid' };
    const { objects } = star.base;
    await expect(objects.get(west.tenantId, key)).rejects.toMatchObject(refused);
    await expect(objects.put(west.tenantId, key, Buffer.from('x'), 'image/jpeg')).rejects.toMatchObject(refused);
    await expect(objects.delete(west.tenantId, key)).rejects.toMatchObject(refused);
    await expect(objects.signedUrl(west.tenantId, key, 'GET', { expiresInS: 60 })).rejects.toMatchObject(refused);
    await expect(objects.get(west.tenantId, `${west.tenantId}/../${key}`)).rejects.toMatchObject(refused);
  });

  it('have signed addresses that cannot be widened to another object, verb, tenant or time', async () => {
    const fresh = await photoUrl();
    expect((await open(fresh)).status).toBe(200);
    const url = new URL(fresh);
    const bend = (value: string) =>
      /^\d+$/.test(value) ? String(Number(value) + 3600) : `${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`;
    const changed = [
      fresh.replace(east.tenantId, west.tenantId),
      east.cropUrl.split('?')[0] + url.search,
      west.cropUrl.split('?')[0] + url.search,
      `${url.origin}${url.pathname}`,
      `${url.origin}${url.pathname.replace(/\/[^/]*$/, '')}${url.search}`,
      ...[...url.searchParams].flatMap(([name, value]) => {
        const [gone, other] = [new URL(fresh), new URL(fresh)];
        gone.searchParams.delete(name);
        other.searchParams.set(name, bend(value));
        return [gone.href, other.href];
      }),
    ];
    for (const each of changed) expect([each, (await open(each)).status >= 400]).toEqual([each, true]);
    for (const method of ['PUT', 'POST', 'DELETE']) expect([method, (await open(fresh, method)).status >= 400]).toEqual([method, true]);
  });
});

it('event streams are for the tenant whose token is asked about, however the request is dressed up', async () => {
  for (const [own, other] of [
    [east, west],
    [west, east],
  ] as const) {
    const url = (searchId: string) => `${star.address}/api/v1/searches/${searchId}/events`;
    const accept = 'text/event-stream';
    const mine = await fetch(url(own.ids.searchId), { headers: { authorization: `Bearer ${own.token}`, accept } });
    const reader = (mine.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain(own.ids.searchId);
    await reader.cancel();
    const dressed = { authorization: `Bearer ${own.token}`, accept, 'x-tenant-id': other.tenantId };
    expect((await fetch(url(other.ids.searchId), { headers: dressed })).status).toBe(404);
    expect((await fetch(`${url(other.ids.searchId)}?access_token=${other.token}`, { headers: dressed })).status).toBe(404);
    expect((await fetch(`${url(other.ids.searchId)}?access_token=${other.token}`, { headers: { accept } })).status).toBe(401);
  }
});

it(`no answer of ${requests} tells one tenant anything of the other, and none is a failure`, async () => {
  console.log(`FUZZ_SEED=${seed}`);
  const shooter = await createShooter(star, seed, [east, west]);
  const statuses: Record<number, number> = {};
  const wrong: string[] = [];
  let foreign404 = 0;
  let dead = 0;
  for (let n = 0; n < requests && wrong.length < 10; n += atOnce) {
    // Several at once, as in life: what one request leaves behind on a connection is the next one's.
    const shots = Array.from({ length: atOnce }, shooter.aim);
    const answers = await Promise.all(shots.map(({ asked }) => star.ask(asked)));
    for (const [at, shot] of shots.entries()) {
      const answer = answers[at] as Answer;
      const { method, url, headers, body } = shot.asked;
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      if (shot.onlyForeign && answer.status === 404) foreign404++;
      if (!shot.nobody && answer.status === 401) dead++;
      for (const each of wrongWith(shot, answer))
        wrong.push(
          `${each}: #${n + at} ${method} ${url} ${JSON.stringify(body)} ${JSON.stringify(headers)} -> ${answer.status} ${answer.text.slice(0, 300)}`,
        );
      if (answer.status === 200 && typeof answer.body?.nextCursor === 'string') shooter.remember(answer.body.nextCursor);
    }
  }
  console.log(
    `answers by status: ${JSON.stringify(statuses)}; another tenant's things asked for and 404: ${foreign404}; 401 with credentials: ${dead}`,
  );
  expect(wrong).toEqual([]);
  expect(foreign404).toBeGreaterThan(requests / 20);
  expect(statuses[200]).toBeGreaterThan(requests / 20);
  // Credentials that died on the way would be turned away at the door, and prove nothing of the walls behind it.
  expect(dead).toBe(0);
  expect((statuses[401] ?? 0) + (statuses[403] ?? 0)).toBeLessThan(requests * 0.55);
}, 900_000);

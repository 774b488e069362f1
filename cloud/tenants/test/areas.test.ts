/** Real: PostgreSQL with transactions at once, HTTP, tokens, scrypt. What other services hang on areas is a table of the test. */
import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createUserAdmin, endTokens, identityMigrations } from '@star/identity';
import {
  type Caller,
  createTokenIssuer,
  createTokenVerifier,
  loadSigningKey,
  migrate,
  openLocalCache,
  type TokenIssuer,
  type Tx,
} from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { type Area, areaParents, type Grant, type Me, type Page, permissionsOf } from '@stardipper/proto';
import fc from 'fast-check';
import { Client } from 'pg';
import { createTenants, type HangsOnAreas, holdArea, type Tenants, tenantsMigrations } from '../src';
import { aTenantWith } from './support/a-tenant';
import { withAudit } from './support/with-audit';

const realm = { issuer: 'http://star.test', audience: 'star' };
let database: TestDatabase;
let folder: string;
let tokens: TokenIssuer;
let tenants: Tenants;
let other: Tenants;
let app: HttpApp;
let base: string;
const ended = new AbortController();
/** What another service hangs on areas: boxes, each of them one edge. */
let hangingFails = false;
const boxes: HangsOnAreas = {
  count: async (tx, _tenantId, areaIds) => {
    const rows = await tx.query<{ area_id: string; edges: number }>(
      'SELECT area_id, count(*)::int AS edges FROM tenants.test_boxes WHERE area_id = ANY ($1) GROUP BY 1',
      [areaIds],
    );
    return new Map(rows.map((row) => [row.area_id, { edges: row.edges, cameras: 0, provisioningKeys: 0 }]));
  },
  moveAll: async (tx, _tenantId, from, to) => {
    await tx.execute('UPDATE tenants.test_boxes SET area_id = $2 WHERE area_id = $1', [from, to]);
    if (hangingFails) throw new Error('killed in between');
  },
};
const hangBox = (tenantId: string, areaId: string) =>
  database.db.tenant(tenantId, async (tx: Tx) => {
    const area = await holdArea(tx, areaId);
    if (area) await tx.execute('INSERT INTO tenants.test_boxes (tenant_id, area_id) VALUES ($1, $2)', [tenantId, area.id]);
    return area;
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-areas-'));
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  const owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query('CREATE TABLE tenants.test_boxes (tenant_id uuid NOT NULL, area_id uuid NOT NULL)');
  await owner.end();
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  const deps = {
    database: database.db,
    identity: createUserAdmin({ database: database.db }),
    endTokens: endTokens({ cache: await openLocalCache() }),
    hanging: [boxes],
  };
  tenants = createTenants(deps);
  other = createTenants(deps);
  await Promise.all([tenants, other].map((each) => each.followAreas(ended.signal)));
  app = await createHttpApp(await withAudit(tenants, database.db, folder), {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    areasVisibleTo: tenants.areasVisibleTo,
  });
  base = await app.listen();
});

afterAll(async () => {
  ended.abort();
  await app?.close();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

async function aTenant(): Promise<Caller> {
  const username = `admin-${randomUUID()}`;
  const { tenantId, adminId } = await aTenantWith(
    { database: database.db, identity: createUserAdmin({ database: database.db }) },
    { username },
  );
  return { tenantId, userId: adminId, username, roles: ['tenant-admin'] };
}

async function call<T = Record<string, unknown>>(who: Caller, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${(await tokens.issue(who)).token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

const make = (who: Caller, kind: Area['kind'], name: string, parentId: string | null = null) =>
  tenants.createArea(who, { kind, name, parentId });
const tree = async (who: Caller): Promise<Area[]> => (await tenants.readAreas(who, { limit: 500 })).items;

describe('areas over HTTP', () => {
  let admin: Caller;
  beforeAll(async () => {
    admin = await aTenant();
  });

  it('make a tree that is read page by page', async () => {
    const region = await call<Area>(admin, 'POST', '/areas', { kind: 'region', name: ' North ' });
    expect(region).toMatchObject({ status: 201, body: { parentId: null, kind: 'region', name: 'North', open: true, edges: 0 } });
    const community = (await call<Area>(admin, 'POST', '/areas', { kind: 'community', name: 'A', parentId: region.body.id })).body;
    const building = (await call<Area>(admin, 'POST', '/areas', { kind: 'building', name: '1', parentId: community.id })).body;
    const first = (await call<Page<Area>>(admin, 'GET', '/areas?limit=2')).body;
    const second = (await call<Page<Area>>(admin, 'GET', `/areas?limit=2&cursor=${first.nextCursor}`)).body;
    expect([...first.items, ...second.items].map((each) => each.id)).toEqual([region.body.id, community.id, building.id]);
    expect(second.nextCursor).toBeNull();
    expect(await call(admin, 'PATCH', `/areas/${building.id}`, { name: 'Tower' })).toMatchObject({ status: 200, body: { name: 'Tower' } });
  });

  it.each([
    ['nothing', {}],
    ['a name of blanks', { kind: 'community', name: '  ' }],
    ['another kind', { kind: 'planet', name: 'x' }],
    ['an enormous name', { kind: 'community', name: 'x'.repeat(121) }],
    ['something more', { kind: 'community', name: 'x', tenantId: 'y' }],
    ['a parent that is no id', { kind: 'community', name: 'x', parentId: 'top' }],
  ])('refuse %s', async (_, body) => {
    expect(await call(admin, 'POST', '/areas', body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('refuse a cursor that is none', async () => {
    expect((await call(admin, 'GET', '/areas?cursor=zzz')).status).toBe(400);
    expect((await call(admin, 'GET', '/grants?cursor=zzz')).status).toBe(400);
  });

  it('are another tenant’s 404', async () => {
    const stranger = await aTenant();
    const { id } = await make(admin, 'region', 'Hidden');
    const own = await make(stranger, 'region', 'Own');
    const asked: [string, string, unknown?][] = [
      ['GET', `/areas/${id}`],
      ['PATCH', `/areas/${id}`, { name: 'x' }],
      ['DELETE', `/areas/${id}`],
      ['POST', `/areas/${id}/move`, { parentId: null }],
      ['POST', `/areas/${own.id}/move`, { parentId: id }],
      ['POST', `/areas/${id}/merge`, { intoId: own.id }],
      ['POST', `/areas/${own.id}/merge`, { intoId: id }],
      ['POST', '/areas', { kind: 'region', name: 'x', parentId: id }],
      ['POST', '/grants', { userId: stranger.userId, areaId: id, role: 'viewer' }],
    ];
    for (const [method, path, body] of asked)
      expect([method, path, await call(stranger, method, path, body)]).toMatchObject([
        method,
        path,
        { status: 404, body: { code: 'area.not_found' } },
      ]);
    expect((await tree(stranger)).map((each) => each.id)).toEqual([own.id]);
  });
});

describe('the tree', () => {
  it('has regions under regions, communities under regions, buildings under communities, and each name once among siblings', async () => {
    const admin = await aTenant();
    const region = await make(admin, 'region', 'R');
    const community = await make(admin, 'community', 'C', region.id);
    for (const [kind, parentId] of [
      ['region', community.id],
      ['building', region.id],
      ['building', null],
      ['community', community.id],
    ] as const)
      await expect(make(admin, kind, 'x', parentId)).rejects.toMatchObject({ code: 'area.parent_unfit' });
    await expect(make(admin, 'region', 'C', region.id)).rejects.toMatchObject({ code: 'area.name_taken' });
    await expect(make(admin, 'region', 'R')).rejects.toMatchObject({ code: 'area.name_taken' });
    const second = await make(admin, 'community', 'C');
    await expect(tenants.moveArea(admin, second.id, region.id)).rejects.toMatchObject({ code: 'area.name_taken' });
    await expect(tenants.renameArea(admin, region.id, 'C')).rejects.toMatchObject({ code: 'area.name_taken' });
  });

  it('is at most eight deep, however it got there', async () => {
    const admin = await aTenant();
    let parent: string | null = null;
    const line: string[] = [];
    for (let depth = 1; depth <= 8; depth++) {
      parent = (await make(admin, 'region', `R${depth}`, parent)).id;
      line.push(parent);
    }
    await expect(make(admin, 'community', 'too deep', parent)).rejects.toMatchObject({ code: 'area.too_deep', params: { max: 8 } });
    const tall = await make(admin, 'region', 'tall');
    await make(admin, 'community', 'C', tall.id);
    await expect(tenants.moveArea(admin, tall.id, line[6] as string)).rejects.toMatchObject({ code: 'area.too_deep' });
    await tenants.moveArea(admin, tall.id, line[5] as string);
    const wide = await make(admin, 'region', 'wide');
    await make(admin, 'region', 'low', (await make(admin, 'region', 'mid', wide.id)).id);
    await expect(tenants.mergeAreas(admin, wide.id, line[6] as string)).rejects.toMatchObject({ code: 'area.too_deep' });
  });

  it('is deleted only where nothing hangs', async () => {
    const admin = await aTenant();
    const region = await make(admin, 'region', 'R');
    const community = await make(admin, 'community', 'C', region.id);
    await hangBox(admin.tenantId, community.id);
    await expect(tenants.removeArea(admin, region.id)).rejects.toMatchObject({ code: 'area.not_empty', params: { areas: 1, edges: 0 } });
    await expect(tenants.removeArea(admin, community.id)).rejects.toMatchObject({ code: 'area.not_empty', params: { areas: 0, edges: 1 } });
    expect((await tree(admin)).find((each) => each.id === community.id)).toMatchObject({ edges: 1 });
    await database.db.tenant(admin.tenantId, (tx) => tx.execute('DELETE FROM tenants.test_boxes WHERE area_id = $1', [community.id]));
    await tenants.removeArea(admin, community.id);
    await tenants.removeArea(admin, region.id);
    expect(await tree(admin)).toEqual([]);
    expect(await hangBox(admin.tenantId, community.id)).toBeUndefined();
  });

  it('keeps nothing that hangs on an area which is deleted at the same time', async () => {
    const admin = await aTenant();
    for (let round = 0; round < 10; round++) {
      const { id } = await make(admin, 'community', `C${round}`);
      const [hung, gone] = await Promise.all([
        hangBox(admin.tenantId, id),
        tenants.removeArea(admin, id).then(
          () => true,
          () => false,
        ),
      ]);
      expect([round, hung !== undefined]).toEqual([round, !gone]);
    }
  });

  it('never has a cycle, two siblings of one name or a path that lies, whatever moves, merges, creations and deletions race', async () => {
    const step = fc.record({ what: fc.constantFrom('move', 'move', 'move', 'create', 'merge', 'delete'), a: fc.nat(30), b: fc.nat(30) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 2, maxLength: 6 }), { minLength: 1, maxLength: 5 }), async (rounds) => {
        const admin = await aTenant();
        const roots = await Promise.all([1, 2, 3, 4].map((n) => make(admin, 'region', `R${n}`)));
        for (const root of roots) await make(admin, 'community', 'C', root.id);
        for (const round of rounds) {
          const areas = await tree(admin);
          const at = (n: number) => (areas.length === 0 ? null : (areas[n % areas.length] as Area).id);
          const run = ({ what, a, b }: { what: string; a: number; b: number }): Promise<unknown> => {
            const [x, y] = [at(a), at(b)];
            if (x === null || y === null || what === 'create') return make(admin, 'region', `N${a}`, b % 3 === 0 ? null : y);
            if (what === 'move') return tenants.moveArea(admin, x, b % 7 === 0 ? null : y);
            return what === 'merge' ? tenants.mergeAreas(admin, x, y) : tenants.removeArea(admin, x);
          };
          for (const outcome of await Promise.allSettled(round.map(run)))
            if (outcome.status === 'rejected') expect(outcome.reason.code).toMatch(/^area\./);
          expectTree(await tree(admin));
          await expectPaths(admin.tenantId);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('lets one of two moves through that would make a cycle together', async () => {
    const admin = await aTenant();
    for (let round = 0; round < 20; round++) {
      const [a, b] = [await make(admin, 'region', `A${round}`), await make(admin, 'region', `B${round}`)];
      const outcomes = await Promise.allSettled([tenants.moveArea(admin, a.id, b.id), other.moveArea(admin, b.id, a.id)]);
      expect(outcomes.filter((each) => each.status === 'fulfilled')).toHaveLength(1);
      expect(outcomes.find((each) => each.status === 'rejected')).toMatchObject({ reason: { code: 'area.cycle' } });
    }
    expectTree(await tree(admin));
  });
});

function expectTree(areas: readonly Area[]): void {
  const byId = new Map(areas.map((each) => [each.id, each]));
  const names = areas.map((each) => `${each.parentId}/${each.name}`);
  expect(new Set(names).size).toBe(names.length);
  for (const area of areas) {
    const parent = area.parentId === null ? null : byId.get(area.parentId);
    expect(parent).toBeDefined();
    expect(areaParents[area.kind]).toContain(parent?.kind ?? null);
    let steps = 0;
    for (let at: Area | undefined = area; at; at = at.parentId === null ? undefined : byId.get(at.parentId))
      expect(++steps).toBeLessThanOrEqual(8);
  }
}

async function expectPaths(tenantId: string): Promise<void> {
  const lies = await database.db.tenant(tenantId, (tx) =>
    tx.query(
      `WITH RECURSIVE real AS (
         SELECT id, id || '/' AS path FROM tenants.areas WHERE parent_id IS NULL
         UNION ALL SELECT a.id, r.path || a.id || '/' FROM tenants.areas a JOIN real r ON a.parent_id = r.id)
       SELECT a.id FROM tenants.areas a LEFT JOIN real r USING (id) WHERE r.path IS DISTINCT FROM a.path`,
    ),
  );
  expect(lies).toEqual([]);
}

describe('a merge', () => {
  it('moves everything that hangs on the area, and whoever still names it means the other', async () => {
    const admin = await aTenant();
    const [a, b, c] = [await make(admin, 'community', 'A'), await make(admin, 'community', 'B'), await make(admin, 'community', 'C')];
    const building = await make(admin, 'building', '1', a.id);
    await hangBox(admin.tenantId, a.id);
    const grant = await tenants.giveGrant(admin, { userId: admin.userId, areaId: a.id, role: 'viewer' });
    await tenants.giveGrant(admin, { userId: admin.userId, areaId: a.id, role: 'operator' });
    await tenants.giveGrant(admin, { userId: admin.userId, areaId: b.id, role: 'operator' });
    expect(await call(admin, 'POST', `/areas/${a.id}/merge`, { intoId: b.id })).toMatchObject({ status: 200, body: { id: b.id } });
    expect(await tree(admin)).toMatchObject([{ id: b.id, edges: 1 }, { id: c.id }, { id: building.id, parentId: b.id }]);
    const grants = (await tenants.readGrants(admin, { limit: 50 })).items;
    expect(grants.map(({ areaId, role }) => [areaId, role])).toEqual([
      [b.id, 'viewer'],
      [b.id, 'operator'],
    ]);
    expect(grants[0]?.id).toBe(grant.id);
    await tenants.mergeAreas(admin, b.id, c.id);
    expect(await hangBox(admin.tenantId, a.id)).toMatchObject({ id: c.id });
    expect((await tree(admin))[0]).toMatchObject({ id: c.id, edges: 2 });
    expect(await call(admin, 'POST', `/areas/${a.id}/merge`, { intoId: c.id })).toMatchObject({ status: 404 });
  });

  it('is refused between two kinds, with itself, and when both have a child of one name', async () => {
    const admin = await aTenant();
    const [region, a, b] = [await make(admin, 'region', 'R'), await make(admin, 'community', 'A'), await make(admin, 'community', 'B')];
    const inner = await make(admin, 'region', 'inner', region.id);
    for (const [from, into] of [
      [a.id, region.id],
      [a.id, a.id],
      [region.id, inner.id],
      [inner.id, region.id],
    ] as const)
      await expect(tenants.mergeAreas(admin, from, into)).rejects.toMatchObject({ code: 'area.merge_unfit' });
    await make(admin, 'building', '1', a.id);
    await make(admin, 'building', '1', b.id);
    await expect(tenants.mergeAreas(admin, a.id, b.id)).rejects.toMatchObject({ code: 'area.name_taken' });
  });

  it('is done or not done, nothing in between', async () => {
    const admin = await aTenant();
    const [a, b] = [await make(admin, 'community', 'A'), await make(admin, 'community', 'B')];
    await hangBox(admin.tenantId, a.id);
    hangingFails = true;
    await expect(tenants.mergeAreas(admin, a.id, b.id)).rejects.toThrow();
    hangingFails = false;
    expect(await tree(admin)).toMatchObject([
      { id: a.id, edges: 1 },
      { id: b.id, edges: 0 },
    ]);
    await tenants.mergeAreas(admin, a.id, b.id);
    expect(await tree(admin)).toMatchObject([{ id: b.id, edges: 1 }]);
  });

  it('leaves nothing behind of what is hung on the area at the same time', async () => {
    const admin = await aTenant();
    const into = await make(admin, 'community', 'into');
    for (let round = 0; round < 10; round++) {
      const { id } = await make(admin, 'community', `C${round}`);
      const user = { userId: admin.userId, areaId: id, role: 'auditor' as const };
      await Promise.allSettled([
        ...[1, 2, 3].map(() => hangBox(admin.tenantId, id)),
        tenants.giveGrant(admin, user),
        other.mergeAreas(admin, id, into.id),
        hangBox(admin.tenantId, id),
      ]);
    }
    expect(await tree(admin)).toMatchObject([{ id: into.id, edges: 40 }]);
    const grants = (await tenants.readGrants(admin, { limit: 50 })).items;
    expect(grants.every((each) => each.areaId === into.id)).toBe(true);
  });

  it('waits for a role that is just granted where it moves the same role to', async () => {
    const admin = await aTenant();
    const [from, into] = [await make(admin, 'community', 'from'), await make(admin, 'community', 'into')];
    const { tenantId, userId } = admin;
    await tenants.giveGrant(admin, { userId, areaId: from.id, role: 'auditor' });
    let merged: Promise<unknown> = Promise.resolve();
    await database.db.tenant(tenantId, async (tx) => {
      await holdArea(tx, into.id);
      const grant = [tenantId, randomUUID(), userId, into.id];
      await tx.execute(
        "INSERT INTO tenants.grants (tenant_id, id, user_id, username, area_id, role) VALUES ($1, $2, $3, 'x', $4, 'auditor')",
        grant,
      );
      merged = tenants.mergeAreas(admin, from.id, into.id);
      merged.catch(() => undefined);
      const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
      // In a transaction of its own each time: within one the view stays as it was.
      while ((await database.db.tenant(tenantId, (look) => look.query(waiting))).length === 0) await sleep(10);
    });
    await merged;
    expect((await tenants.readGrants(admin, { limit: 50 })).items).toMatchObject([{ areaId: into.id }]);
  });
});

describe('grants', () => {
  let admin: Caller;
  let north: Area;
  let south: Area;
  let community: Area;
  let building: Area;
  let guest: Caller;
  beforeEach(async () => {
    admin = await aTenant();
    north = await make(admin, 'region', 'North');
    south = await make(admin, 'region', 'South');
    community = await make(admin, 'community', 'C', north.id);
    building = await make(admin, 'building', '1', community.id);
    // A user of the tenant whose token holds no role.
    guest = { ...admin, roles: [] };
  });
  const give = (areaId: string, role: Grant['role'], who = admin) =>
    call<Grant>(who, 'POST', '/grants', { userId: guest.userId, areaId, role });

  it('hold on the area and below it, and nowhere else', async () => {
    expect(await call(guest, 'GET', '/areas')).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
    const grant = await give(community.id, 'viewer');
    expect(grant).toMatchObject({ status: 201, body: { username: admin.username, role: 'viewer', areaId: community.id } });
    expect(await tenants.areasVisibleTo(guest, 'searches.read')).toEqual(new Set([community.id, building.id]));
    expect(await tenants.areasVisibleTo(guest, 'searches.write')).toEqual(new Set());
    // The way to the top is shown by name, and what is beside it is not.
    expect((await call<Page<Area>>(guest, 'GET', '/areas')).body.items.map(({ name, open }) => [name, open])).toEqual([
      ['North', false],
      ['C', true],
      ['1', true],
    ]);
    expect((await call(guest, 'GET', `/areas/${building.id}`)).status).toBe(200);
    expect((await call(guest, 'GET', `/areas/${north.id}`)).status).toBe(404);
    expect((await call(guest, 'GET', `/areas/${south.id}`)).status).toBe(404);
    expect(await call(guest, 'PATCH', `/areas/${building.id}`, { name: 'x' })).toMatchObject({ status: 403 });
    expect((await call(admin, 'DELETE', `/grants/${grant.body.id}`)).status).toBe(204);
    expect((await call(guest, 'GET', '/areas')).status).toBe(403);
    expect((await call(admin, 'DELETE', `/grants/${grant.body.id}`)).status).toBe(404);
  });

  it('follow the tree when it is moved, in every process', async () => {
    await give(north.id, 'operator');
    expect(await other.areasVisibleTo(guest, 'searches.write')).toEqual(new Set([north.id, community.id, building.id]));
    await tenants.moveArea(admin, community.id, south.id);
    expect(await tenants.areasVisibleTo(guest, 'searches.write')).toEqual(new Set([north.id]));
    // The other process hears of it; what it remembers would otherwise last for seconds.
    for (let look = 0; ((await other.areasVisibleTo(guest, 'searches.write')) as Set<string>).size > 1; look++) {
      expect(look).toBeLessThan(300);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it('let a region’s administrator work below it and nowhere else', async () => {
    await give(north.id, 'tenant-admin');
    const made = await call<Area>(guest, 'POST', '/areas', { kind: 'community', name: 'D', parentId: north.id });
    expect(made.status).toBe(201);
    expect((await call(guest, 'POST', `/areas/${made.body.id}/merge`, { intoId: community.id })).status).toBe(200);
    expect(await call(guest, 'POST', '/areas', { kind: 'region', name: 'Top' })).toMatchObject({
      status: 403,
      body: { code: 'area.top_forbidden' },
    });
    expect(await call(guest, 'POST', `/areas/${community.id}/move`, { parentId: null })).toMatchObject({ status: 403 });
    expect(await call(guest, 'POST', `/areas/${community.id}/move`, { parentId: south.id })).toMatchObject({ status: 404 });
    expect(await call(guest, 'POST', '/areas', { kind: 'community', name: 'D', parentId: south.id })).toMatchObject({ status: 404 });
    expect((await give(building.id, 'viewer', guest)).status).toBe(201);
    expect(await give(south.id, 'viewer', guest)).toMatchObject({ status: 404, body: { code: 'area.not_found' } });
    const foreign = (await give(south.id, 'viewer')).body;
    expect((await call(guest, 'DELETE', `/grants/${foreign.id}`)).status).toBe(404);
    expect((await call<Page<Grant>>(guest, 'GET', '/grants')).body.items.map((each) => each.areaId)).toEqual([north.id, building.id]);
    expect((await call(guest, 'GET', '/audit')).status).toBe(403);
  });

  it('are told to who asks what he may do, area by area', async () => {
    const held = async (who: Caller) => (await call<Me>(who, 'GET', '/me')).body;
    const first = await held(guest);
    expect(first).toMatchObject({ permissions: [...permissionsOf(first.roles)], onAreas: [] });
    expect(first.permissions).toContain('areas.write');
    for (const [area, role] of [
      [north, 'viewer'],
      [building, 'viewer'],
      [building, 'auditor'],
    ] as const)
      await give(area.id, role);
    // Where it was given; what lies below is the same without being told.
    expect(new Map((await held(guest)).onAreas.map(({ areaId, permissions }) => [areaId, new Set(permissions)]))).toEqual(
      new Map([
        [north.id, permissionsOf(['viewer'])],
        [building.id, permissionsOf(['viewer', 'auditor'])],
      ]),
    );
    expect((await held(await aTenant())).onAreas).toEqual([]);
  });

  it('refuse what makes no sense', async () => {
    expect(await call(admin, 'POST', '/grants', { userId: randomUUID(), areaId: north.id, role: 'viewer' })).toMatchObject({
      status: 422,
      body: { code: 'user.unknown' },
    });
    expect((await call(admin, 'POST', '/grants', { userId: guest.userId, areaId: north.id, role: 'platform-operator' })).status).toBe(400);
    await give(north.id, 'viewer');
    expect(await give(north.id, 'viewer')).toMatchObject({ status: 409, body: { code: 'grant.exists' } });
    const stranger = await aTenant();
    expect(await call(stranger, 'POST', '/grants', { userId: guest.userId, areaId: north.id, role: 'viewer' })).toMatchObject({
      status: 422,
    });
    expect((await call<Page<Grant>>(stranger, 'GET', '/grants')).body.items).toEqual([]);
  });

  it('are audited as given and withdrawn', async () => {
    const grant = (await give(north.id, 'viewer')).body;
    await call(admin, 'DELETE', `/grants/${grant.id}`);
    const lines = await database.db.tenant(admin.tenantId, (tx) =>
      tx.query('SELECT action, subject, details FROM tenants.audit_log ORDER BY id DESC LIMIT 2'),
    );
    expect(lines).toMatchObject([
      { action: 'grant.withdrawn', subject: grant.id },
      { action: 'grant.given', subject: grant.id, details: { userId: guest.userId, areaId: north.id, role: 'viewer' } },
    ]);
  });
});

test('communities of before become areas at the top of the tree', async () => {
  const empty = await testDatabase();
  const before = join(folder, 'before');
  await mkdir(before);
  const files = (await readdir(tenantsMigrations)).sort();
  const areas = files.findIndex((name) => name.endsWith('_create_areas.sql'));
  for (const name of files.slice(0, areas)) await copyFile(join(tenantsMigrations, name), join(before, name));
  await migrate(empty.ownerUrl, 'identity', identityMigrations);
  await migrate(empty.ownerUrl, 'tenants', before);
  const [tenantId, id] = [randomUUID(), randomUUID()];
  await empty.db.tenant(tenantId, async (tx) => {
    await tx.execute("INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, 'Old')", [tenantId]);
    await tx.execute("INSERT INTO tenants.communities (tenant_id, id, name) VALUES ($1, $2, 'East court')", [tenantId, id]);
  });
  await migrate(empty.ownerUrl, 'tenants', tenantsMigrations);
  const old = createTenants({
    database: empty.db,
    identity: createUserAdmin({ database: empty.db }),
    endTokens: endTokens({ cache: await openLocalCache() }),
  });
  const admin: Caller = { tenantId, userId: randomUUID(), username: 'x', roles: ['tenant-admin'] };
  expect((await old.readAreas(admin, { limit: 10 })).items).toMatchObject([{ id, kind: 'community', parentId: null, name: 'East court' }]);
  const region = await old.createArea(admin, { kind: 'region', name: 'R', parentId: null });
  expect(await old.moveArea(admin, id, region.id)).toMatchObject({ id, parentId: region.id });
  await empty.close();
});

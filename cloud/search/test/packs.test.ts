/** Another model pack in a running Star: real PostgreSQL, real Mizars with real models, replicas that are killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrate } from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { objectKeys, packInUse, person as personSchema, queryDocument } from '@stardipper/proto';
import { connectMizar, createSearch, sealOldEmbeddings, searchMigrations } from '../src';
import { embeddingsOf, listWaitingPhotos } from '../src/people/embedding.store';
import { embeddingSealOf } from '../src/people/embedding-seal';
import { searchError } from '../src/search.errors';
import { requested } from './support/box';
import { copyOfDemoPack, drawnPhoto, StarMizar } from './support/packs';
import { anHour, anOperator, type Operator, startWorld, until, type World } from './support/world';

interface Enrolled {
  readonly personId: string;
  readonly photoId: string;
}

let folder: string;
let mizar: StarMizar;
let packs: { old: string; next: string };
let world: World;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-packs-'));
  packs = {
    old: await copyOfDemoPack(folder, { id: 'old.1', threshold: 0.625, minFacePx: 48 }),
    next: await copyOfDemoPack(folder, { id: 'next.2', threshold: 0.75, minFacePx: 120 }),
  };
  mizar = new StarMizar(join(folder, 'mizar'));
  await mizar.use(packs.old);
  world = await startWorld({ embedEveryMs: 100, embedBackoffMs: 50 }, mizar.address);
});
afterAll(async () => {
  await world?.close();
  await mizar?.away();
  await rm(folder, { recursive: true, force: true });
});

const as = (operator: Operator) => (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  world.request(operator.token, method, path, body, headers);

const progress = async (operator: Operator) => packInUse.parse((await as(operator)('GET', '/packs/in-use')).body);

async function enrol(operator: Operator, name: string, ...photos: Buffer[]): Promise<string> {
  const { body } = await as(operator)('POST', '/people', { name });
  for (const photo of photos) {
    const added = await as(operator)('POST', `/people/${body.id}/photos`, photo, { 'content-type': 'image/jpeg' });
    expect(added.status).toBe(201);
  }
  return body.id;
}

const draft = (operator: Operator, personIds: string[]) =>
  as(operator)('POST', '/searches', { personIds, cameraIds: operator.cameraIds, ...anHour() });

async function contentOf(tenantId: string, key: string): Promise<Buffer> {
  const stored = await world.objects.get(tenantId, key);
  if (!stored) throw new Error(`nothing at ${key}`);
  return buffer(stored.body);
}

const allDone = (operator: Operator, packId: string) =>
  until(`everything is embedded with ${packId}`, async () => {
    const seen = await progress(operator);
    return seen.pack?.packId === packId && seen.photos.waiting === 0 && seen;
  });

/** Holds the re-embedding at its next photo until it is let go; says which photo that is. */
function holdAtNextPhoto(): { reached: Promise<string>; letGo(): void } {
  const { get } = world.objects;
  let letGo = () => {};
  const released = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const reached = new Promise<string>((resolve) => {
    Object.assign(world.objects, {
      get: async (tenantId: string, key: string) => {
        resolve(key);
        await released;
        return get(tenantId, key);
      },
    });
  });
  return {
    reached,
    letGo: () => {
      Object.assign(world.objects, { get });
      letGo();
    },
  };
}

test('a changed pack: everybody is embedded again in the background, and nothing is searched for with two packs', async () => {
  const operator = await anOperator(world);
  const stranger = await anOperator(world);
  const both = await enrol(operator, 'both', await drawnPhoto(1), await drawnPhoto(1, 90, 2));
  const small = await enrol(operator, 'small', await drawnPhoto(2, 90));
  const gone = await enrol(operator, 'gone', await drawnPhoto(3));
  const foreign = await enrol(stranger, 'foreign', await drawnPhoto(4));
  expect(await allDone(operator, 'old.1')).toMatchObject({
    photos: { embedded: 4, waiting: 0, refused: 0 },
    people: { ready: 3 },
    refusals: [],
  });
  const early = await draft(operator, [both]);
  expect(early).toMatchObject({ status: 201, body: { packId: 'old.1', threshold: 0.625 } });

  // While the new Mizar is not there yet: what is there can be searched for, nobody can be enrolled, nothing is lost.
  await mizar.away();
  expect((await draft(operator, [both])).status).toBe(201);
  const tooEarly = await as(operator)('POST', `/people/${small}/photos`, await drawnPhoto(2), { 'content-type': 'image/jpeg' });
  expect(tooEarly).toMatchObject({ status: 503, body: { code: 'embedder.unavailable' } });
  const held = holdAtNextPhoto();
  await mizar.use(packs.next);
  await held.reached;

  // Before the first photo is done: everybody waits, and says so, the same way each time.
  const { pack, ...counts } = await progress(operator);
  expect(pack).toMatchObject({ packId: 'next.2' });
  expect(counts).toEqual({
    assignment: null,
    photos: { embedded: 0, waiting: 4, refused: 0 },
    people: { ready: 0, waiting: 3, refused: 0 },
    refusals: [],
  });
  expect((await progress(stranger)).photos).toEqual({ embedded: 0, waiting: 1, refused: 0 });
  for (let i = 0; i < 2; i++) {
    expect(await draft(operator, [both, gone])).toMatchObject({
      status: 409,
      body: { code: 'person.not_embedded', params: { personIds: expect.arrayContaining([both, gone]), packId: 'next.2' } },
    });
  }
  const shown = personSchema.parse((await as(operator)('GET', `/people/${both}`)).body);
  expect(shown.photos).toMatchObject([
    { state: 'waiting', refusal: null },
    { state: 'waiting', refusal: null },
  ]);

  // An enrolment in the middle is for the new pack at once; a person who is deleted is not missed.
  const late = await enrol(operator, 'late', await drawnPhoto(5));
  expect((await draft(operator, [late])).body).toMatchObject({ state: 'draft', packId: 'next.2', threshold: 0.75 });
  expect((await as(operator)('DELETE', `/people/${gone}`)).status).toBe(204);
  held.letGo();

  const done = await allDone(operator, 'next.2');
  expect(done).toMatchObject({
    photos: { embedded: 2, waiting: 0, refused: 2 },
    people: { ready: 2, waiting: 0, refused: 1 },
    refusals: [{ code: 'photo.face_too_small', photos: 2 }],
  });
  expect(await allDone(stranger, 'next.2')).toMatchObject({ photos: { embedded: 1, refused: 0 } });
  const refused = personSchema.parse((await as(operator)('GET', `/people/${both}`)).body);
  expect(refused.photos).toMatchObject([
    { state: 'embedded', refusal: null },
    { state: 'refused', refusal: { code: 'photo.face_too_small', params: { reason: 'face_too_small', min: 120 } } },
  ]);
  expect(await draft(operator, [small])).toMatchObject({
    status: 422,
    body: { code: 'search.person_without_photo', params: { personIds: [small], packId: 'next.2' } },
  });

  // A new search asks with the new pack and only with it, boxes are asked what they have indexed with it; a draft of
  // before still means the old one.
  const asked: unknown[] = [];
  const { askEdge } = world;
  world.askEdge = async (tenantId, edgeId, method, params, timeoutMs) => {
    asked.push(JSON.parse(params).packId);
    return askEdge(tenantId, edgeId, method, params, timeoutMs);
  };
  const fresh = await draft(operator, [both]);
  world.askEdge = askEdge;
  expect([fresh.status, asked]).toEqual([201, ['next.2']]);
  const fetchQuery = async (id: string) => {
    expect((await as(operator)('POST', `/searches/${id}/start`)).status).toBe(200);
    await until('the task is on the bus', () => requested(world, id).length > 0);
    const { tenantId } = operator.caller;
    return queryDocument.parse(JSON.parse((await contentOf(tenantId, objectKeys.query(tenantId, id))).toString()));
  };
  expect(await fetchQuery(fresh.body.id)).toMatchObject({
    packId: 'next.2',
    threshold: 0.75,
    persons: [{ embeddings: [expect.any(String)] }],
  });
  expect(await fetchQuery(early.body.id)).toMatchObject({
    packId: 'old.1',
    threshold: 0.625,
    persons: [{ embeddings: [expect.any(String), expect.any(String)] }],
  });
  expect((await as(operator)('GET', `/searches/${early.body.id}`)).body.packId).toBe('old.1');

  // Going back costs only what was enrolled since.
  const back = holdAtNextPhoto();
  await mizar.use(packs.old);
  expect(await back.reached).toContain(late);
  expect((await progress(operator)).photos).toEqual({ embedded: 3, waiting: 1, refused: 0 });
  expect((await draft(operator, [both, small])).body).toMatchObject({ packId: 'old.1' });
  back.letGo();
  expect(await allDone(operator, 'old.1')).toMatchObject({ photos: { embedded: 4 }, people: { ready: 3 } });
  expect((await progress(stranger)).people).toEqual({ ready: 1, waiting: 0, refused: 0 });
  expect(foreign).toBeDefined();
});

test('whoever is wanted comes first, then tenants take turns', async () => {
  const large = await anOperator(world);
  const little = await anOperator(world);
  const people: string[] = [];
  for (let i = 0; i < 4; i++) people.push(await enrol(large, `large ${i}`, await drawnPhoto(20 + i)));
  const other = await enrol(little, 'little', await drawnPhoto(30));
  await Promise.all([allDone(large, 'old.1'), allDone(little, 'old.1')]);
  const held = holdAtNextPhoto();
  await mizar.use(packs.next);
  const key = await held.reached;
  const underWay = [...people, other].find((id) => key.includes(id));
  const inLine = async () => {
    const { db } = world.database;
    const photos = await db.system('test', (tx) => listWaitingPhotos(tx, 'next.2', null, new Date(), 1_000));
    const owners = await db.system('test', (tx) => tx.query<{ id: string; person_id: string }>('SELECT id, person_id FROM search.photos'));
    const line = photos.map((photo) => owners.find(({ id }) => id === photo.id)?.person_id as string);
    return line.filter((id) => id === other || people.includes(id));
  };
  const [first, second, third, last] = people as [string, string, string, string];
  expect((await inLine()).slice(0, 2).sort()).toEqual([first, other].sort());
  expect((await inLine()).slice(2)).toEqual([second, third, last]);
  expect(await draft(large, [last])).toMatchObject({ status: 409, body: { code: 'person.not_embedded', params: { personIds: [last] } } });
  expect((await draft(large, [third])).status).toBe(409);
  expect((await inLine()).slice(0, 2)).toEqual([last, third]);
  // Asking again sends nobody back in line.
  expect((await draft(large, [last])).status).toBe(409);
  expect((await inLine()).slice(0, 2)).toEqual([last, third]);
  expect((await inLine()).slice(2)).toEqual(expect.arrayContaining([other, first, second]));
  held.letGo();
  await Promise.all([allDone(large, 'next.2'), allDone(little, 'next.2')]);
  const done = await world.database.db.system('test', (tx) =>
    tx.query<{ person_id: string }>(
      `SELECT f.person_id FROM search.embeddings e JOIN search.photos f ON f.id = e.photo_id
       WHERE e.pack_id = 'next.2' AND f.person_id = ANY($1) ORDER BY e.made_at`,
      [[...people, other]],
    ),
  );
  // Only what was being worked on when they were wanted may be before them.
  const order = done.map((row) => row.person_id).filter((id) => id !== underWay);
  expect(order.slice(0, 2)).toEqual([last, third]);
  await mizar.use(packs.old);
});

test('whoever sees the boxes’ software sees the progress', async () => {
  const { caller } = await anOperator(world);
  const look = async (roles: string[]) => (await world.request(await world.tokenFor({ ...caller, roles }), 'GET', '/packs/in-use')).status;
  expect([await look(['operator']), await look(['tenant-admin']), await look(['platform-finance'])]).toEqual([200, 200, 403]);
  expect((await world.request(undefined, 'GET', '/packs/in-use')).status).toBe(401);
});

test('an installation of before keeps the embeddings that its photos had', async () => {
  const before = join(folder, 'before');
  await mkdir(before);
  const earlier = (await readdir(searchMigrations)).filter((name) => name < '0003');
  for (const name of earlier) await copyFile(join(searchMigrations, name), join(before, name));
  const database = await testDatabase([{ service: 'search', folder: before }]);
  const { caller } = await anOperator(world);
  const [personId, photoId] = [randomUUID(), randomUUID()];
  await database.db.tenant(caller.tenantId, async (tx) => {
    await tx.execute("INSERT INTO search.people (tenant_id, id, name, note) VALUES ($1, $2, 'P', '')", [caller.tenantId, personId]);
    await tx.execute(
      `INSERT INTO search.photos (tenant_id, id, person_id, object_key, sha256, width, height, face_px, quality, pack_id, embedding)
       VALUES ($1, $2, $3, 'k', 's', 1, 1, 1, 1, 'old.1', '\\x01')`,
      [caller.tenantId, photoId, personId],
    );
  });
  await migrate(database.ownerUrl, 'search', searchMigrations);
  const tenantKeys = world.options.tenantKeys;
  const sealed = await Promise.all([1, 2].map(() => sealOldEmbeddings({ database: database.db, tenantKeys })));
  expect(Math.max(...sealed)).toBe(1);
  expect(await sealOldEmbeddings({ database: database.db, tenantKeys })).toBe(0);
  const [kept] = await database.db.tenant(caller.tenantId, (tx) => embeddingsOf(tx, [personId], 'old.1'));
  const seal = await embeddingSealOf({ tenantKeys })(caller.tenantId);
  expect(kept && seal.open({ personId, photoId, packId: 'old.1' }, kept.embedding)).toEqual(Buffer.of(1));
  const search = createSearch({ ...world.options, database: database.db });
  expect(await search.readPackInUse(caller.tenantId)).toMatchObject({
    pack: { packId: 'old.1' },
    photos: { embedded: 1, waiting: 0 },
    people: { ready: 1 },
  });
  await database.close();
});

describe('without the rest of Star', () => {
  let database: TestDatabase;
  let operator: Operator;
  const replicas: ChildProcess[] = [];
  /** How many photos each replica has begun to embed. */
  const worked = new Map<ChildProcess, number>();
  beforeEach(async () => {
    database = await testDatabase([{ service: 'search', folder: searchMigrations }]);
    operator = await anOperator(world);
    await mizar.use(packs.old);
  });
  afterEach(async () => {
    for (const replica of replicas.splice(0)) await kill(replica);
    await database.close();
  });

  const kill = (replica: ChildProcess) =>
    new Promise<void>((resolve) => {
      if (replica.exitCode !== null || replica.signalCode !== null) return resolve();
      replica.once('exit', () => resolve());
      replica.kill('SIGKILL');
    });

  async function replica(): Promise<ChildProcess> {
    const child = fork(
      join(__dirname, 'support', 'embed.child.ts'),
      [database.appUrl, world.database.appUrl, join(world.folder, 'objects'), mizar.address],
      {
        execArgv: ['-r', join(__dirname, '..', '..', 'platform', 'test', 'run-sources.cjs')],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    );
    replicas.push(child);
    child.on('message', (said) => said === 'embedding' && worked.set(child, (worked.get(child) ?? 0) + 1));
    await new Promise((resolve) => child.once('message', resolve));
    return child;
  }

  const rows = () =>
    database.db.system('test', (tx) =>
      tx.query<{
        photo_id: string;
        attempts: number;
        made_at: Date;
        embedded: boolean;
        retry_at: Date | null;
        refusal: { code: string } | null;
      }>(
        `SELECT photo_id, attempts, made_at, embedding IS NOT NULL AS embedded, retry_at, refusal FROM search.embeddings
         WHERE pack_id = 'next.2' ORDER BY made_at`,
      ),
    );

  async function enrolled(count: number): Promise<Enrolled[]> {
    const embedder = connectMizar(mizar.address);
    const search = createSearch({ ...world.options, database: database.db, embedders: { ...world.options.embedders, own: embedder } });
    const people = [];
    for (let i = 0; i < count; i++) {
      const { id } = await search.createPerson(operator.caller, { name: `P${i}`, note: '' });
      const { photos } = await search.addPhoto(operator.caller, id, await drawnPhoto(40 + i));
      people.push({ personId: id, photoId: photos[0]?.id as string });
    }
    embedder.close();
    return people;
  }

  test('killed in the middle, another replica goes on where it was, and no photo is embedded twice', async () => {
    const people = await enrolled(14);
    await mizar.use(packs.next);
    const first = await replica();
    await until('a few are done', async () => (await rows()).length >= 3);
    await kill(first);
    const before = await rows();
    expect(before.length).toBeLessThan(people.length);
    const [second, third] = await Promise.all([replica(), replica()]);
    await until('the lease of the dead has run out', async () => (await rows()).length > before.length, 1_000);
    await until('all are done', async () => (await rows()).length === people.length);
    const after = await rows();
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.every((row) => row.embedded)).toBe(true);
    // One of the two did all that was left, and nothing besides.
    expect(worked.get(first)).toBeLessThanOrEqual(before.length + 1);
    expect([second, third].map((each) => worked.get(each) ?? 0).sort((a, b) => a - b)).toEqual([0, people.length - before.length]);
  });

  test('a photo on which the embedder fails is put off, then given up, and one that is lost is refused; others go on', async () => {
    const [poison, lost, good] = (await enrolled(3)) as [Enrolled, Enrolled, Enrolled];
    const { tenantId } = operator.caller;
    await world.objects.delete(tenantId, objectKeys.photo(tenantId, lost.personId, lost.photoId));
    await mizar.use(packs.next);
    const real = connectMizar(mizar.address);
    let offsetMs = 0;
    const poisoned = await contentOf(tenantId, objectKeys.photo(tenantId, poison.personId, poison.photoId));
    const search = createSearch({
      ...world.options,
      database: database.db,
      now: () => new Date(Date.now() + offsetMs),
      settings: { embedEveryMs: 50, embedBackoffMs: 50 },
      // As a Mizar would that dies of this photo each time and is there again at once.
      embedders: {
        ...world.options.embedders,
        own: {
          ...real,
          embedPhoto: (image, packId) =>
            image.equals(poisoned) ? Promise.reject(searchError('embedder.unavailable')) : real.embedPhoto(image, packId),
        },
      },
    });
    const stop = new AbortController();
    await search.run(stop.signal);
    const rowOf = async (photoId: string) => (await rows()).find((row) => row.photo_id === photoId);
    await until('the good one is done', async () => (await rowOf(good.photoId))?.embedded);
    expect(await rowOf(lost.photoId)).toMatchObject({ retry_at: null, refusal: { code: 'photo.file_missing' } });
    expect(await rowOf(poison.photoId)).toMatchObject({ retry_at: expect.any(Date), refusal: { code: 'embedder.unavailable' } });
    expect((await search.getPerson(operator.caller, poison.personId)).photos).toMatchObject([
      { state: 'waiting', refusal: { code: 'embedder.unavailable' } },
    ]);
    await until('it is given up', async () => {
      offsetMs += 3_600_000;
      const row = await rowOf(poison.photoId);
      return row?.retry_at === null && row.attempts === 5;
    });
    await sleep(200);
    expect((await rowOf(poison.photoId))?.attempts).toBe(5);
    expect(await search.readPackInUse(tenantId)).toMatchObject({ people: { ready: 1, waiting: 0, refused: 2 } });
    stop.abort();
    real.close();
  });

  test('storage that is away has no photo refused', async () => {
    const [only] = (await enrolled(1)) as [Enrolled];
    await mizar.use(packs.next);
    const embedder = connectMizar(mizar.address);
    let away = true;
    let offsetMs = 0;
    const search = createSearch({
      ...world.options,
      database: database.db,
      embedders: { ...world.options.embedders, own: embedder },
      objects: { ...world.objects, get: (...key) => (away ? Promise.reject(new Error('away')) : world.objects.get(...key)) },
      now: () => new Date(Date.now() + offsetMs),
      settings: { embedEveryMs: 50, embedBackoffMs: 20 },
    });
    const stop = new AbortController();
    await search.run(stop.signal);
    await until('it was tried more often than an embedder may fail', async () => {
      offsetMs += 3_600_000;
      return ((await rows())[0]?.attempts ?? 0) > 6;
    });
    expect((await search.getPerson(operator.caller, only.personId)).photos).toMatchObject([
      { state: 'waiting', refusal: { code: 'photo.file_unreadable' } },
    ]);
    away = false;
    await until('it is embedded', async () => {
      offsetMs += 3_600_000;
      return (await rows())[0]?.embedded;
    });
    stop.abort();
    embedder.close();
  });
});

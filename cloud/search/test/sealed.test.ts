/** Faces at rest: what lies in PostgreSQL's own files and in the folder of objects, and what an erased key leaves of it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { objectKeys, queryDocument } from '@stardipper/proto';
import { Client } from 'pg';
import sharp from 'sharp';
import { createSearch, type SearchService } from '../src';
import { requested } from './support/box';
import { anHour, anOperator, type Operator, packId, picture, startWorld, until, type World } from './support/world';

let world: World;
/** As the world's, with embeddings that are found again among other bytes. */
let search: SearchService;
let embedding = randomBytes(512);

beforeAll(async () => {
  world = await startWorld({ embedEveryMs: 100, embedBackoffMs: 50 });
  const { own } = world.options.embedders;
  search = createSearch({
    ...world.options,
    embedders: {
      ...world.options.embedders,
      own: { ...own, embedPhoto: async (image, pack) => ({ ...(await own.embedPhoto(image, pack)), embedding }) },
    },
  });
});
afterAll(() => world?.close());

const signed = (url: string) => url.replace('http://star.test', world.base);

/** Grey to the model's stand-in, and no stretch of it lies anywhere by chance. */
const noise = () =>
  sharp(randomBytes(300 * 300 * 3), { raw: { width: 300, height: 300, channels: 3 } })
    .jpeg()
    .toBuffer();

interface Enrolled {
  readonly personId: string;
  readonly photoId: string;
  readonly url: string;
  readonly photo: Buffer;
  readonly embedding: Buffer;
}

async function enrolled({ caller }: Operator): Promise<Enrolled> {
  embedding = randomBytes(512);
  const { id: personId } = await search.createPerson(caller, { name: 'Wang Wei', note: '' });
  const { photos } = await search.addPhoto(caller, personId, await noise());
  const [{ id: photoId, url } = { id: '', url: '' }] = photos;
  return { personId, photoId, url: signed(url), photo: Buffer.from(await (await fetch(signed(url))).arrayBuffer()), embedding };
}

async function started(operator: Operator, personId: string): Promise<string> {
  const draft = await search.draftSearch(operator.caller, {
    name: '',
    ...anHour(),
    personIds: [personId],
    cameraIds: operator.cameraIds,
    priority: 2,
  });
  await search.startSearch(operator.caller, draft.id);
  return draft.id;
}

/** Which of these bytes lie anywhere in the files under the folder. */
async function found(folder: string, wanted: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const there = new Set<string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // PostgreSQL removes files of its own meanwhile.
    const content = await readFile(join(entry.parentPath, entry.name)).catch(() => Buffer.alloc(0));
    for (const [name, bytes] of Object.entries(wanted)) if (content.includes(bytes)) there.add(name);
    await breathe();
  }
  return [...there].sort();
}

/** Where the test kit keeps the server's files, all of them written. */
async function filesOfPostgres(): Promise<string> {
  const note = await readFile(join(tmpdir(), `star-test-postgres-${process.pid}`, 'postgres.json'), 'utf8');
  const { home, adminPassword } = JSON.parse(note) as { home: string; adminPassword: string };
  const admin = new URL(world.database.ownerUrl);
  [admin.username, admin.password] = ['star_admin', adminPassword];
  await query(admin.href, 'CHECKPOINT');
  return join(home, 'cluster');
}

const asOwner = <R extends object>(sql: string, params: unknown[] = []) => query<R>(world.database.ownerUrl, sql, params);

async function query<R extends object>(url: string, sql: string, params: unknown[] = []): Promise<R[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SET app.system = 'on'");
    return (await client.query<R>(sql, params)).rows;
  } finally {
    await client.end();
  }
}

const code = (work: Promise<unknown>) => work.then(String, (error: { code?: string }) => error.code);

it('photos, crops, questions and embeddings lie nowhere as they are', async () => {
  const operator = await anOperator(world);
  const { tenantId } = operator.caller;
  const one = await enrolled(operator);
  const crop = randomBytes(20_000);
  const key = objectKeys.crop(tenantId, operator.edgeId, randomUUID());
  const put = await world.objects.signedUrl(tenantId, key, 'PUT', { expiresInS: 60, contentType: 'image/jpeg' });
  const sent = await fetch(signed(put), { method: 'PUT', body: crop, headers: { 'content-type': 'image/jpeg' } });
  expect(sent.status).toBe(204);
  const searchId = await started(operator, one.personId);
  const query = await world.objects.signedUrl(tenantId, objectKeys.query(tenantId, searchId), 'GET', { expiresInS: 60 });
  const question = queryDocument.parse(await (await fetch(signed(query))).json());
  expect(question.persons).toEqual([{ id: one.personId, embeddings: [one.embedding.toString('base64')] }]);

  const [row] = await asOwner<{ embedding: Buffer }>('SELECT embedding FROM search.embeddings WHERE photo_id = $1', [one.photoId]);
  const files = await filesOfPostgres();
  const faces = {
    photo: one.photo.subarray(one.photo.length / 2, one.photo.length / 2 + 64),
    crop: crop.subarray(10_000, 10_064),
    embedding: one.embedding.subarray(0, 64),
    question: Buffer.from(one.embedding.toString('base64').slice(0, 64)),
  };
  // What is there is found: the search itself works.
  expect(await found(files, { ...faces, sealed: row?.embedding as Buffer })).toEqual(['sealed']);
  const [name] = await readdir(join(world.folder, 'objects', 'stored', tenantId, 'crops', operator.edgeId));
  const stored = await readFile(join(world.folder, 'objects', 'stored', tenantId, 'crops', operator.edgeId, name as string));
  expect(await found(join(world.folder, 'objects'), { ...faces, sealed: stored.subarray(10_000, 10_064) })).toEqual(['sealed']);
  const shown = await fetch(signed(await world.objects.signedUrl(tenantId, key, 'GET', { expiresInS: 60 })), {
    headers: { range: 'bytes=10000-10063' },
  });
  expect([shown.status, Buffer.from(await shown.arrayBuffer())]).toEqual([206, faces.crop]);
});

it('an erased key takes them all, and nobody else’s', async () => {
  const [gone, other] = [await anOperator(world), await anOperator(world)];
  const [theirs, others] = [await enrolled(gone), await enrolled(other)];
  const draft = await search.draftSearch(gone.caller, {
    name: '',
    ...anHour(),
    personIds: [theirs.personId],
    cameraIds: gone.cameraIds,
    priority: 2,
  });
  await world.tenantKeys.eraseTenantKey(gone.caller.tenantId);
  expect(world.audit.at(-1)).toMatchObject({ action: 'tenant.key_erased', tenantId: gone.caller.tenantId });

  const asked = (path: string, method = 'GET', body?: unknown) => world.request(gone.token, method, path, body);
  // What has no face in it is still listed; a face is gone, and says so.
  expect((await asked('/people')).body.items).toMatchObject([{ id: theirs.personId, photos: [{ id: theirs.photoId }] }]);
  expect((await asked(`/searches/${draft.id}`)).status).toBe(200);
  expect((await asked(`/searches/${draft.id}/matches`)).body.items).toEqual([]);
  const image = await fetch(theirs.url);
  expect([image.status, await image.json()]).toMatchObject([410, { code: 'tenant.erased' }]);
  const refused = await Promise.all([
    world.request(gone.token, 'POST', `/people/${theirs.personId}/photos`, await picture('grey', 90, 90), { 'content-type': 'image/jpeg' }),
    asked(`/searches/${draft.id}/start`, 'POST'),
    asked(`/people/${theirs.personId}`, 'DELETE'),
    asked('/packs/in-use/calibration'),
  ]);
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [410, 'tenant.erased']));

  expect(Buffer.from(await (await fetch(others.url)).arrayBuffer())).toEqual(others.photo);
  const searchId = await started(other, others.personId);
  await until('its task goes out', () => requested(world, searchId).length === 1);
});

it('photos of a tenant without key are refused by the next pack, and hold up nobody else’s', async () => {
  const [gone, other] = [await anOperator(world), await anOperator(world)];
  const [theirs, others] = [await enrolled(gone), await enrolled(other)];
  await world.tenantKeys.eraseTenantKey(gone.caller.tenantId);
  await asOwner('DELETE FROM search.embeddings WHERE photo_id = ANY($1)', [[theirs.photoId, others.photoId]]);
  const photoOf = async ({ caller }: Operator, { personId }: Enrolled) => (await search.getPerson(caller, personId)).photos[0];
  await until('the other one is embedded', async () => (await photoOf(other, others))?.state === 'embedded');
  await until('theirs is refused', async () => (await photoOf(gone, theirs))?.state === 'refused');
  expect(await photoOf(gone, theirs)).toMatchObject({ refusal: { code: 'tenant.erased' } });
});

it('an embedding opens as that of its own tenant, person and photo only', async () => {
  const [operator, other] = [await anOperator(world), await anOperator(world)];
  const [one, two, foreign] = [await enrolled(operator), await enrolled(operator), await enrolled(other)];
  const copy = (from: Enrolled, to: Enrolled) =>
    asOwner(
      'UPDATE search.embeddings SET embedding = (SELECT embedding FROM search.embeddings WHERE photo_id = $1 AND pack_id = $3) WHERE photo_id = $2',
      [from.photoId, to.photoId, packId],
    );
  await copy(one, two);
  expect(await code(started(operator, two.personId))).toBe('photo.embedding_unreadable');
  await copy(foreign, two);
  expect(await code(started(operator, two.personId))).toBe('photo.embedding_unreadable');
  await asOwner('UPDATE search.photos SET person_id = $2 WHERE id = $1', [one.photoId, two.personId]);
  expect(await code(search.readCalibration(operator.caller))).toBe('photo.embedding_unreadable');
  await expect(started(other, foreign.personId)).resolves.toBeDefined();
});

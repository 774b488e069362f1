/** A pack for each tenant: real PostgreSQL, the supervisor's pool of real Mizars, `dipper models add`, and archives that were tampered with. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { objectKeys, queryDocument } from '@stardipper/proto';
import { archiveOf, StarWithPacks, sha256Of, type Tenant, until } from './support/star-with-packs';

const alpha = { id: 'alpha.1', threshold: 0.625, minFacePx: 48 };
const beta = { id: 'beta.2', threshold: 0.75, minFacePx: 120 };
let star: StarWithPacks;
let archives: { alpha: Buffer; beta: Buffer };

beforeAll(async () => {
  star = await StarWithPacks.start({ id: 'own.1', threshold: 0.5, minFacePx: 48 });
  archives = { alpha: await archiveOf(star.folder, alpha), beta: await archiveOf(star.folder, beta) };
}, 120_000);
afterAll(async () => {
  await star?.close();
});

const embeddings = async (tenant: Tenant) => {
  const rows = await star.database.db.tenant(tenant.caller.tenantId, (tx) =>
    tx.query<{ pack_id: string; done: number }>(
      'SELECT pack_id, count(embedding) AS done FROM search.embeddings GROUP BY pack_id ORDER BY pack_id',
    ),
  );
  return Object.fromEntries(rows.map((row) => [row.pack_id, row.done]));
};
const namedMizar = (bytes: Buffer) => star.pool.pids()[`mizar-${sha256Of(bytes).slice(0, 8)}`];

test('two tenants with two packs, and one with none, embed, search and change packs without noticing each other', async () => {
  const [a, b, c] = [await star.tenant(), await star.tenant(), await star.tenant()];
  const people = new Map<Tenant, string[]>();
  for (const tenant of [a, b, c]) people.set(tenant, [await tenant.enrol(1), await tenant.enrol(2)]);
  await a.enrol(3, 90);
  await b.enrol(3, 90);
  const first = (tenant: Tenant) => (people.get(tenant) as string[]).slice(0, 1);
  for (const tenant of [a, b, c]) expect(await tenant.whenDone('own.1')).toMatchObject({ pack: { by: 'installation' }, assignment: null });
  const early = await a.draft(first(a));
  expect(early.body).toMatchObject({ packId: 'own.1', threshold: 0.5 });

  const alphaOfA = await a.upload(archives.alpha, 'alpha');
  expect(alphaOfA).toMatchObject({ pack: { packId: 'alpha.1', licence: 'Apache-2.0', nonCommercial: false } });
  await a.assign(alphaOfA.id);
  await b.assign((await b.upload(archives.beta, 'beta')).id);
  expect(await a.whenDone('alpha.1')).toMatchObject({
    pack: { by: 'assigned' },
    assignment: { title: 'alpha', version: '1', state: 'in_use', error: null },
    photos: { embedded: 3, refused: 0 },
  });
  // The pack of this one wants larger faces.
  expect(await b.whenDone('beta.2')).toMatchObject({
    photos: { embedded: 2, refused: 1 },
    refusals: [{ code: 'photo.face_too_small', photos: 1 }],
  });
  expect(await c.inUse()).toMatchObject({
    pack: { packId: 'own.1', by: 'installation' },
    assignment: null,
    photos: { embedded: 2, waiting: 0 },
  });
  expect(await embeddings(a)).toEqual({ 'alpha.1': 3, 'own.1': 3 });
  expect(await embeddings(b)).toEqual({ 'beta.2': 2, 'own.1': 3 });
  expect(await embeddings(c)).toEqual({ 'own.1': 2 });

  // Each is searched, estimated and calibrated with its own.
  star.asked.length = 0;
  const packs = [alpha, beta, { id: 'own.1', threshold: 0.5 }];
  for (const [i, tenant] of [a, b, c].entries()) {
    const { id, threshold } = packs[i] as { id: string; threshold: number };
    const drafted = await tenant.draft(first(tenant));
    expect(drafted).toMatchObject({ status: 201, body: { packId: id, threshold: expect.closeTo(threshold) } });
    expect(star.asked.at(-1)).toEqual([tenant.caller.tenantId, id]);
    expect(await tenant.calibration()).toMatchObject({ packId: id, defaultThreshold: expect.closeTo(threshold) });
    expect((await tenant.call('POST', `/searches/${drafted.body.id}/start`)).status).toBe(200);
    const { tenantId } = tenant.caller;
    const stored = await star.objects.get(tenantId, objectKeys.query(tenantId, drafted.body.id));
    const query = queryDocument.parse(JSON.parse((await buffer(stored?.body as NonNullable<typeof stored>['body'])).toString()));
    expect([query.packId, query.persons.map(({ embeddings: own }) => own.length)]).toEqual([id, [1]]);
  }
  // A draft of before keeps the pack it was estimated with.
  expect((await a.call('POST', `/searches/${early.body.id}/start`)).body).toMatchObject({ packId: 'own.1' });

  // An enrolment is for the tenant's own pack at once.
  const late = await a.enrol(4);
  expect(await embeddings(a)).toEqual({ 'alpha.1': 4, 'own.1': 3 });
  expect((await a.draft([late])).body).toMatchObject({ packId: 'alpha.1' });

  // The same bytes from another tenant are the same pack and the same Mizar; the other one goes on undisturbed.
  const pid = namedMizar(archives.beta);
  await a.assign((await a.upload(archives.beta, 'beta')).id);
  expect(await a.whenDone('beta.2')).toMatchObject({ photos: { embedded: 3, refused: 1 } });
  expect([namedMizar(archives.beta), await embeddings(b)]).toEqual([pid, { 'beta.2': 2, 'own.1': 3 }]);

  // Going back finds what is there; without an assignment it is the installation's at once.
  await a.assign(alphaOfA.id);
  await a.whenDone('alpha.1');
  expect((await a.call('DELETE', '/software/assignment')).status).toBe(204);
  expect(await a.whenDone('own.1')).toMatchObject({ pack: { by: 'installation' }, assignment: null, photos: { embedded: 4 } });
  expect(await b.inUse()).toMatchObject({ pack: { packId: 'beta.2' }, assignment: { state: 'in_use' } });
}, 180_000);

test('late, repeated and overtaken news of an assignment change nothing', async () => {
  const tenant = await star.tenant();
  const { tenantId } = tenant.caller;
  const news = (revision: number, packageId: string, id = randomUUID()) => ({
    topic: 'software.assigned.v1' as const,
    key: tenantId,
    id,
    tenantId,
    occurredAt: new Date(),
    message: { revision, packageId, title: `t${revision}`, version: '1', sha256: packageId && 'f'.repeat(64) },
  });
  const [three, packageId] = [randomUUID(), randomUUID()];
  await star.search.takeAssignment(news(3, packageId, three));
  await star.search.takeAssignment(news(2, randomUUID()));
  await star.search.takeAssignment(news(1, ''));
  await star.search.takeAssignment(news(3, packageId, three));
  expect((await tenant.inUse()).assignment).toMatchObject({ packageId, title: 't3' });
  expect((await tenant.whenFailed(packageId)).assignment?.error).toEqual({ code: 'pack.archive_missing', params: {} });
  await star.search.takeAssignment(news(4, ''));
  await star.search.takeAssignment(news(3, packageId));
  expect((await tenant.inUse()).assignment).toBeNull();
});

test('an archive that is no good leaves its tenant with the last good one, says why, and disturbs nobody', async () => {
  const [a, b] = [await star.tenant(), await star.tenant()];
  await a.enrol(11);
  const person = await b.enrol(12);
  await a.assign((await a.upload(archives.alpha, 'alpha')).id);
  await b.assign((await b.upload(archives.beta, 'beta')).id);
  await Promise.all([a.whenDone('alpha.1'), b.whenDone('beta.2')]);
  const before = [namedMizar(archives.beta), await b.inUse()];
  const refusedWith = async (bytes: Buffer, title: string, tamper?: (path: string) => Promise<void>) => {
    const made = await a.upload(bytes, title);
    const name = (await readdir(join(star.folder, 'star', 'objects'), { recursive: true })).find(
      (each) => each.includes(`${made.id}.tar.gz`) && each.endsWith('.object'),
    );
    await tamper?.(join(star.folder, 'star', 'objects', name as string));
    await a.assign(made.id);
    const seen = await a.whenFailed(made.id);
    expect(seen).toMatchObject({
      pack: { packId: 'alpha.1', by: 'assigned' },
      assignment: { packageId: made.id },
      photos: { embedded: 1, waiting: 0 },
    });
    return seen.assignment?.error;
  };

  // Changed where it is stored, since it was uploaded.
  const changed = await archiveOf(star.folder, { ...alpha, id: 'changed.1' });
  const flip = async (path: string) => {
    const bytes = await readFile(path);
    const at = bytes.length - 1000;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(path, bytes);
  };
  expect(await refusedWith(changed, 'changed', flip)).toMatchObject({
    code: 'download.hash_mismatch',
    params: { expected: sha256Of(changed) },
  });
  // A model that is not the one pack.json describes, and no archive at all.
  const swapped = await archiveOf(star.folder, { ...alpha, id: 'swapped.1' }, async (folder) =>
    writeFile(join(folder, 'embedder.onnx'), 'not a model'),
  );
  expect(await refusedWith(swapped, 'swapped')).toMatchObject({ code: 'pack.hash_mismatch', params: { field: 'embedder.sha256' } });
  expect(await refusedWith(Buffer.from([0x1f, 0x8b, 1, 2, 3, 4]), 'noise')).toMatchObject({ code: 'pack.archive_invalid' });
  // Another content under an id that is known: of the tenant, and of the installation.
  for (const id of ['alpha.1', 'own.1']) {
    const other = await archiveOf(star.folder, { ...alpha, id }, async (folder) => {
      const path = join(folder, 'pack.json');
      const pack = JSON.parse(await readFile(path, 'utf8'));
      await writeFile(path, JSON.stringify({ ...pack, embedder: { ...pack.embedder, mirror: false } }));
    });
    expect(await refusedWith(other, `other-${id}`)).toEqual({ code: 'pack.id_taken', params: { packId: id } });
  }
  // It can be searched with what is in use, and people can be enrolled.
  expect((await a.draft([await a.enrol(13)])).body).toMatchObject({ packId: 'alpha.1' });
  expect([namedMizar(archives.beta), await b.inUse()]).toEqual(before);
  expect((await b.draft([person])).body).toMatchObject({ packId: 'beta.2' });
  // And the next good one ends it.
  await a.assign((await a.upload(archives.beta, 'beta')).id);
  expect(await a.whenDone('beta.2')).toMatchObject({ assignment: { state: 'in_use', error: null } });
}, 180_000);

test('a Mizar that is killed in the middle is started again, and the photos are embedded', async () => {
  const [a, b] = [await star.tenant(), await star.tenant()];
  for (let i = 0; i < 6; i++) await a.enrol(20 + i);
  await b.enrol(30);
  await b.assign((await b.upload(archives.beta, 'beta')).id);
  await b.whenDone('beta.2');
  const stranger = namedMizar(archives.beta);
  await a.assign((await a.upload(archives.alpha, 'alpha')).id);
  const pid = await until('some are embedded, and some are not', async () => {
    const { pack, photos } = await a.inUse();
    return pack?.packId === 'alpha.1' && photos.embedded > 0 && namedMizar(archives.alpha);
  });
  process.kill(pid, 'SIGKILL');
  expect(await a.whenDone('alpha.1')).toMatchObject({ photos: { embedded: 6, refused: 0 } });
  await until('it runs again', () => namedMizar(archives.alpha) !== pid);
  await until('somebody can be enrolled', async () => (await a.enrol(40).catch(() => undefined)) !== undefined);
  expect(namedMizar(archives.beta)).toBe(stranger);
}, 180_000);

/** How the pack tells a tenant's people apart: pairs of photos, judged matches, and nobody else's. */
import type { Calibration } from '@stardipper/proto';
import { embeddingSealOf } from '../src/people/embedding-seal';
import { aMatch, aReport, aRunningSearch, progressed } from './support/box';
import { anOperator, aPerson, type Operator, packId, picture, startWorld, until, type World } from './support/world';

let world: World;
let operator: Operator;

beforeAll(async () => {
  world = await startWorld();
  operator = await anOperator(world);
});
afterAll(() => world?.close());

const calibration = async (by = operator): Promise<Calibration> => (await world.request(by.token, 'GET', '/packs/in-use/calibration')).body;

/** The non-empty steps, by the similarity at which they begin. */
const counted = (histogram: readonly number[]) =>
  Object.fromEntries(histogram.flatMap((n, i) => (n > 0 ? [[(i / 100 - 1).toFixed(2), n]] : [])));

/** Gives the photos of a person, in their order, these embeddings. */
async function embed(personId: string, ...vectors: readonly (readonly number[])[]): Promise<void> {
  const { body } = await world.request(operator.token, 'GET', `/people/${personId}`);
  const seal = await embeddingSealOf(world.options)(operator.caller.tenantId);
  await world.database.db.tenant(operator.caller.tenantId, async (tx) => {
    for (const [i, vector] of vectors.entries()) {
      const photoId = body.photos[i].id;
      const sealed = seal.seal({ personId, photoId, packId }, Buffer.from(Float32Array.from(vector).buffer));
      await tx.execute('UPDATE search.embeddings SET embedding = $2 WHERE photo_id = $1', [photoId, sealed]);
    }
  });
}

it('counts pairs of photos by whether they show one person', async () => {
  expect(await calibration()).toMatchObject({ packId, defaultThreshold: 0.5, people: 0, photos: 0, sampled: false });
  const [anna, bao] = [await aPerson(world, operator, 'Anna'), await aPerson(world, operator, 'Bao')];
  const second = await world.request(operator.token, 'POST', `/people/${anna}/photos`, await picture('grey', 80, 80), {
    'content-type': 'image/jpeg',
  });
  expect(second.status).toBe(201);
  await embed(anna, [1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]);
  await embed(bao, [0, 0, 0, 1]);
  const found = await calibration();
  expect(found).toMatchObject({ people: 2, photos: 3, sampled: false });
  expect([found.samePerson.length, found.differentPeople.length]).toEqual([200, 200]);
  expect(counted(found.samePerson)).toEqual({ '0.50': 1 });
  expect(counted(found.differentPeople)).toEqual({ '0.00': 1, '0.50': 1 });
  await embed(bao, [-1, 0, 0, 0]);
  expect(counted((await calibration()).differentPeople)).toEqual({ '-1.00': 1, '-0.50': 1 });
  await embed(bao, [1, 0, 0, 0]);
  expect(counted((await calibration()).differentPeople)).toEqual({ '0.50': 1, '0.99': 1 });
});

it('counts judged matches by their score, and the verdict that stands', async () => {
  const { search, tasks } = await aRunningSearch(world, operator);
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  const [personId = ''] = search.personIds;
  const matches = [0.55, 0.75, 0.95].map((score, n) => aMatch(cameraId, personId, task.range.from + n, { score }));
  await world.bus.append([progressed(operator, aReport(task, 1, { matches }))]);
  const read = `/searches/${search.id}`;
  await until('they are stored', async () => (await world.request(operator.token, 'GET', read)).body.matches === 3);
  const judge = (n: number, verdict: string) =>
    world.request(operator.token, 'POST', `${read}/matches/${matches[n]?.sightingId}:${personId}/verdict`, { verdict });
  for (const [n, verdict] of [
    [0, 'rejected'],
    [1, 'rejected'],
    [1, 'confirmed'],
    [2, 'confirmed'],
    [2, 'unreviewed'],
  ] as const)
    expect((await judge(n, verdict)).status).toBe(200);
  const found = await calibration();
  expect(counted(found.confirmed)).toEqual({ '0.75': 1 });
  expect(counted(found.rejected)).toEqual({ '0.55': 1 });
});

it('is of nobody else’s people, and for operators only', async () => {
  const other = await anOperator(world);
  expect(await calibration(other)).toMatchObject({ people: 0, photos: 0 });
  const admin = await world.tokenFor({ ...operator.caller, roles: ['tenant-admin'] });
  expect((await world.request(admin, 'GET', '/packs/in-use/calibration')).status).toBe(403);
  expect((await world.request(undefined, 'GET', '/packs/in-use/calibration')).status).toBe(401);
});

/** Footage that is gone, on a real index; and over Mizar's gRPC. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callUnary, openSqlite } from '@dipper/platform';
import { FaceIndex } from '../src/index-store/face-index.store';
import { migrations } from '../src/index-store/migrations';
import { matchSightings } from '../src/match-sightings';
import { TestMizar } from './support/mizar';
import { syntheticEmbedding, syntheticSegment } from './support/synthetic';

const DAY = 86_400_000;
const HOUR = 3_600_000;
/** The segment in the middle of a day. */
const noonOf = (day: number): number => (day * DAY + 12 * HOUR) / 60_000;

let folder: string;
let now: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-footage-'));
  now = 100 * DAY;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (): FaceIndex => FaceIndex.open(folder, () => now);
const daysCovered = (index: FaceIndex, cameraId: string, packId = 'test.1'): number[] =>
  index.coverage(cameraId, packId, 0, 200 * DAY).map(({ fromMs }) => Math.floor(fromMs / DAY));

async function seen(index: FaceIndex, cameraId: string): Promise<number> {
  const queries = [{ personId: 'anybody', embeddings: syntheticEmbedding('anybody') }];
  const question = { cameraId, packId: 'test.1', fromMs: 0, toMs: 200 * DAY, threshold: -1, dimension: 16, queries };
  let found = 0;
  for await (const page of matchSightings(index, question, new AbortController().signal)) found += page.length;
  return found;
}

test('whole days before a moment count as not looked at from then on, of every pack and no other camera; an hour later they are gone', async () => {
  let index = open();
  for (const day of [90, 91, 92]) await index.replaceSpan(syntheticSegment('cam-1', noonOf(day), 20));
  await index.replaceSpan({ ...syntheticSegment('cam-1', noonOf(89), 20), packId: 'test.2' });
  await index.replaceSpan(syntheticSegment('cam-2', noonOf(90), 20));
  expect(index.cameras()).toEqual([
    { cameraId: 'cam-1', oldestMs: 89 * DAY },
    { cameraId: 'cam-2', oldestMs: 90 * DAY },
  ]);
  expect(await index.forgetFootage('cam-1', 89 * DAY)).toBe(0);
  // The day before holds what comes up to the last millisecond.
  expect(await index.forgetFootage('cam-1', 92 * DAY - 1)).toBe(2);
  expect(await index.forgetFootage('cam-1', 92 * DAY - 1)).toBe(0);
  expect(await index.forgetFootage('nobody', 92 * DAY)).toBe(0);
  expect([daysCovered(index, 'cam-1'), daysCovered(index, 'cam-1', 'test.2'), daysCovered(index, 'cam-2')]).toEqual([[91, 92], [], [90]]);
  expect(index.cameras()).toEqual([
    { cameraId: 'cam-1', oldestMs: 91 * DAY },
    { cameraId: 'cam-2', oldestMs: 90 * DAY },
  ]);
  // Whoever asked what was looked at a moment ago still finds whom it had, also after a restart.
  now += HOUR - 1;
  expect(await index.expire(0)).toBe(0);
  await index.close();
  index = open();
  expect(await seen(index, 'cam-1')).toBe(60);
  now += 1;
  expect(await index.expire(0)).toBe(2);
  expect([await seen(index, 'cam-1'), await seen(index, 'cam-2')]).toEqual([40, 20]);
  expect(readdirSync(join(folder, 'vectors'))).toHaveLength(3);
  await index.close();
});

test.each([
  ['in the same millisecond', 0],
  ['when the clock was set back', -2 * HOUR],
])('a day that is indexed again %s is there: what counts as looked at has its sightings', async (_, leapMs) => {
  const index = open();
  await index.replaceSpan(syntheticSegment('cam-1', noonOf(90), 20));
  expect(await index.forgetFootage('cam-1', 95 * DAY)).toBe(1);
  now += leapMs;
  await index.replaceSpan(syntheticSegment('cam-1', noonOf(90), 20));
  now += 4 * HOUR;
  expect(await index.expire(0)).toBe(0);
  expect([daysCovered(index, 'cam-1'), await seen(index, 'cam-1')]).toEqual([[90], 20]);
  expect(await index.forgetFootage('cam-1', 95 * DAY)).toBe(1);
  await index.close();
});

test('an index of before goes on: what was withdrawn goes, what was indexed again since stays', async () => {
  const db = openSqlite(join(folder, 'faces.sqlite'), migrations.slice(0, 2));
  const insert = db.prepare(
    `INSERT INTO files (camera_id, pack_id, dimension, day, vector_rows, crop_bytes, first_indexed_ms, last_indexed_ms, withdrawn_at_ms)
     VALUES (?, 'test.1', 16, 90, 0, 0, 1, ?, ?)`,
  );
  insert.run('withdrawn', 1, now);
  insert.run('again', now + 1, now);
  insert.run('untouched', 1, null);
  db.close();
  const index = open();
  expect(index.cameras().map(({ cameraId }) => cameraId)).toEqual(['again', 'untouched']);
  now += HOUR;
  expect(await index.expire(0)).toBe(1);
  await index.close();
});

test('Merak asks which cameras there are and says how far their footage goes back; bad questions are refused by name', async () => {
  const before = FaceIndex.open(join(folder, 'mizar'));
  for (const day of [90, 91]) await before.replaceSpan(syntheticSegment('cam-1', noonOf(day), 20));
  await before.close();
  const agent = await TestMizar.start({ MIZAR_KEEP_DAYS: '3650' }, folder);
  try {
    const { client } = agent;
    const cameras = async () => (await callUnary(client, client.listIndexedCameras, {}, { timeoutMs: 10_000 })).cameras;
    const forget = (cameraId: string, beforeMs: number) =>
      callUnary(client, client.forgetFootage, { cameraId, beforeMs }, { timeoutMs: 10_000 });
    expect(await cameras()).toEqual([{ cameraId: 'cam-1', oldestMs: 90 * DAY }]);
    for (const bad of ['', '../cam', 'x'.repeat(65)])
      await expect(forget(bad, 91 * DAY)).rejects.toMatchObject({ code: 'request.invalid', params: { field: 'cameraId' } });
    for (const bad of [-1, 8_640_000_000_000_001])
      await expect(forget('cam-1', bad)).rejects.toMatchObject({ code: 'request.invalid', params: { field: 'beforeMs' } });
    expect(await cameras()).toHaveLength(1);
    expect(await forget('cam-1', 91 * DAY)).toEqual({ days: 1 });
    expect(await forget('cam-1', 91 * DAY)).toEqual({ days: 0 });
    expect(await cameras()).toEqual([{ cameraId: 'cam-1', oldestMs: 91 * DAY }]);
    expect(await forget('cam-1', 8_640_000_000_000_000)).toEqual({ days: 1 });
    expect(await cameras()).toEqual([]);
  } finally {
    await agent.stop();
  }
});

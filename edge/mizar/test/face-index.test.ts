import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FaceIndex } from '../src/index-store/face-index.store';
import { matchSightings } from '../src/match-sightings';
import { syntheticCrop, syntheticEmbedding, syntheticSegment } from './support/synthetic';

const DAY = 86_400_000;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-index-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Everything stored of a camera, found by asking for nothing in particular. */
async function everything(index: FaceIndex, cameraId = 'cam-1', fromMs = 0, toMs = 10 * DAY) {
  const queries = [{ personId: 'anybody', embeddings: syntheticEmbedding('anybody') }];
  const question = { cameraId, packId: 'test.1', fromMs, toMs, threshold: -1, dimension: 16, queries };
  const found = [];
  for await (const page of matchSightings(index, question, new AbortController().signal)) found.push(...page);
  return found.sort((a, b) => a.atMs - b.atMs);
}

/** Stored vectors and crops are those of the sighting they are stored for. */
async function expectTrue(index: FaceIndex, cameraId: string, version: (atMs: number) => number): Promise<void> {
  const asked = syntheticEmbedding('anybody');
  for (const s of await everything(index, cameraId)) {
    const name = `${cameraId}/${s.atMs}/${version(s.atMs)}`;
    expect(s.score).toBeCloseTo(
      syntheticEmbedding(name).reduce((sum, x, i) => sum + x * asked[i]!, 0),
      5,
    );
    expect(Buffer.from(await index.readCrop(s.sightingId)).equals(Buffer.from(syntheticCrop(name)))).toBe(true);
  }
}

test('killed with SIGKILL again and again, it holds every segment it said it stored, whole, and none in part', async () => {
  let next = 0;
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, [
      '-r',
      join(__dirname, '..', '..', 'platform', 'test', 'support', 'register.cjs'),
      join(__dirname, 'support', 'index-for-ever.ts'),
      folder,
      String(next),
    ]);
    let said = '';
    let complaints = '';
    child.stderr.on('data', (text: Buffer) => {
      complaints += text.toString();
    });
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.stdout.on('data', (text: Buffer) => {
        said += text.toString();
        // Somewhere in the middle of a write, another place each round.
        if (said.split('\n').length > 3 + round) setTimeout(() => child.kill('SIGKILL'), round * 3);
      });
    });
    expect(complaints.replace(/.*(Warning|--trace-warnings).*\n/g, '')).toBe('');
    const stored = said.split('\n').slice(0, -1).map(Number);
    const index = FaceIndex.open(folder);
    expect(index.lostDays).toBe(0);
    const [span] = index.coverage('cam-1', 'test.1', 0, 10 * DAY);
    const segments = span!.toMs / 60_000;
    expect(span!.fromMs).toBe(0);
    // The last one may have been stored without having been told.
    expect([stored.at(-1)! + 1, stored.at(-1)! + 2]).toContain(segments);
    expect(await everything(index)).toHaveLength(segments * 40);
    expect(index.counters().segments_indexed_total).toBe(segments);
    next = segments;
    if (round === 5) await expectTrue(index, 'cam-1', () => 0);
    await index.close();
  }
});

test('a torn tail beyond what was committed is cut off, and the next segment lands where it should', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 0, max: 20 }),
      async (vectors, crops, faces) => {
        rmSync(folder, { recursive: true, force: true });
        let index = FaceIndex.open(folder);
        await index.replaceSpan(syntheticSegment('cam-1', 0, 5));
        await index.close();
        appendFileSync(join(folder, 'vectors', '1.f32'), vectors);
        appendFileSync(join(folder, 'crops', '1.jpgs'), crops);
        writeFileSync(join(folder, 'vectors', '77.f32'), 'a first write that never counted');
        index = FaceIndex.open(folder);
        expect(statSync(join(folder, 'vectors', '1.f32')).size).toBe(5 * 64);
        expect(readdirSync(join(folder, 'vectors'))).toEqual(['1.f32']);
        await index.replaceSpan(syntheticSegment('cam-1', 1, faces));
        expect(await everything(index)).toHaveLength(5 + faces);
        await expectTrue(index, 'cam-1', () => 0);
        await index.close();
      },
    ),
    { numRuns: 15 },
  );
});

test('a file shorter than committed withdraws the coverage of its day, and nothing else', async () => {
  let index = FaceIndex.open(folder);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 5));
  await index.replaceSpan(syntheticSegment('cam-1', DAY / 60_000, 5));
  await index.replaceSpan(syntheticSegment('cam-2', 0, 5));
  await index.close();
  truncateSync(join(folder, 'vectors', '1.f32'), 64);
  index = FaceIndex.open(folder);
  expect(index.lostDays).toBe(1);
  expect(index.coverage('cam-1', 'test.1', 0, 10 * DAY)).toEqual([{ fromMs: DAY, toMs: DAY + 60_000, samplingMs: 1000 }]);
  expect(index.coverage('cam-2', 'test.1', 0, 10 * DAY)).toHaveLength(1);
  expect(await everything(index)).toHaveLength(5);
  await index.close();
});

test('indexing a span again replaces it, also in part, and the same face keeps its id', async () => {
  const index = FaceIndex.open(folder);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 50));
  await index.replaceSpan(syntheticSegment('cam-1', 1, 50));
  const before = await everything(index);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 50));
  expect((await everything(index)).map((s) => s.sightingId)).toEqual(before.map((s) => s.sightingId));
  // The second half of segment 0 and the first half of segment 1, seen with other eyes.
  const across = { ...syntheticSegment('cam-1', 0, 0), fromMs: 200, toMs: 60_300 };
  const sightings = [...syntheticSegment('cam-1', 0, 50, 1).sightings.slice(20), ...syntheticSegment('cam-1', 1, 30, 1).sightings];
  await index.replaceSpan({ ...across, sightings, samplingMs: 500 });
  expect(await everything(index)).toHaveLength(100);
  await expectTrue(index, 'cam-1', (at) => (at >= 200 && at < 60_300 ? 1 : 0));
  expect(index.coverage('cam-1', 'test.1', 0, DAY)).toEqual([
    { fromMs: 0, toMs: 200, samplingMs: 1000 },
    { fromMs: 200, toMs: 60_300, samplingMs: 500 },
    { fromMs: 60_300, toMs: 120_000, samplingMs: 1000 },
  ]);
  expect(index.coverage('cam-1', 'test.1', 100, 150)).toEqual([{ fromMs: 100, toMs: 150, samplingMs: 1000 }]);
  expect(index.coverage('cam-1', 'other.1', 0, DAY)).toEqual([]);
  await index.close();
});

test('packs have an index each: one covers, matches and replaces nothing of the other', async () => {
  const index = FaceIndex.open(folder);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 5));
  expect(index.coverage('cam-1', 'test.2', 0, DAY)).toEqual([]);
  await index.replaceSpan({ ...syntheticSegment('cam-1', 0, 3, 1), packId: 'test.2' });
  await index.replaceSpan({ ...syntheticSegment('cam-1', 0, 2, 2), packId: 'test.2' });
  expect(index.coverage('cam-1', 'test.2', 0, DAY)).toMatchObject([{ fromMs: 0, toMs: 60_000 }]);
  expect(await everything(index)).toHaveLength(5);
  await expectTrue(index, 'cam-1', () => 0);
  await index.close();
});

test('writes at the same time, and over midnight, are all there; only the range asked for is answered', async () => {
  const index = FaceIndex.open(folder);
  await Promise.all(Array.from({ length: 20 }, (_, n) => index.replaceSpan(syntheticSegment('cam-1', n, 10))));
  const midnight = { ...syntheticSegment('cam-2', 1439, 0), toMs: DAY + 60_000 };
  const sightings = [...syntheticSegment('cam-2', 1439, 10).sightings, ...syntheticSegment('cam-2', 1440, 10).sightings];
  await index.replaceSpan({ ...midnight, sightings });
  expect(await everything(index)).toHaveLength(200);
  expect(await everything(index, 'cam-2')).toHaveLength(20);
  expect(await everything(index, 'cam-2', DAY, 2 * DAY)).toHaveLength(10);
  expect(await everything(index, 'cam-1', 60_000, 120_000)).toHaveLength(10);
  expect(index.coverage('cam-1', 'test.1', 0, DAY)).toEqual([{ fromMs: 0, toMs: 1_200_000, samplingMs: 1000 }]);
  await expectTrue(index, 'cam-2', () => 0);
  for (const id of ['', 'zz', '0'.repeat(32), '../../etc/passwd'])
    await expect(index.readCrop(id)).rejects.toMatchObject({ code: 'crop.not_found' });
  await index.close();
});

test('a write that fails changes nothing', async () => {
  const index = FaceIndex.open(folder);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 5));
  const broken = syntheticSegment('cam-1', 0, 5, 1);
  await expect(index.replaceSpan({ ...broken, samplingMs: Number.NaN })).rejects.toThrow();
  await expectTrue(index, 'cam-1', () => 0);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 5, 2));
  await expectTrue(index, 'cam-1', () => 2);
  await index.close();
});

const theirs = (names: readonly string[], threshold = 0.999) => [
  { packId: 'test.1', dimension: 16, threshold, embeddings: Float32Array.from(names.flatMap((name) => [...syntheticEmbedding(name)])) },
];

test('forgets somebody’s sightings with vectors and pictures, on every camera and day, and nobody else’s; coverage stays', async () => {
  const index = FaceIndex.open(folder);
  for (const n of [0, 1, DAY / 60_000]) await index.replaceSpan(syntheticSegment('cam-1', n, 50));
  await index.replaceSpan(syntheticSegment('cam-2', 0, 50));
  const names = ['cam-1/70/0', 'cam-1/60010/0', `cam-1/${DAY}/0`, 'cam-2/0/0'];
  const before = await everything(index);
  const gone = before.filter((s) => [70, 60_010, DAY].includes(s.atMs)).map((s) => s.sightingId);
  const coverage = index.coverage('cam-1', 'test.1', 0, 10 * DAY);
  const bytesOf = (...parts: string[]) => readFileSync(join(folder, ...parts));
  expect(bytesOf('vectors', '1.f32').includes(Buffer.from(syntheticEmbedding('cam-1/70/0').buffer))).toBe(true);

  expect(await index.forget([...theirs(names), { ...theirs(names)[0]!, packId: 'other.1' }, { ...theirs(['x'])[0]!, dimension: 8 }])).toBe(
    4,
  );
  expect((await everything(index)).map((s) => s.sightingId)).toEqual(before.map((s) => s.sightingId).filter((id) => !gone.includes(id)));
  expect(await everything(index, 'cam-2')).toHaveLength(49);
  await expectTrue(index, 'cam-1', () => 0);
  expect(index.coverage('cam-1', 'test.1', 0, 10 * DAY)).toEqual(coverage);
  for (const id of gone) await expect(index.readCrop(id)).rejects.toMatchObject({ code: 'crop.not_found' });
  for (const file of readdirSync(join(folder, 'vectors')))
    for (const name of names) expect(bytesOf('vectors', file).includes(Buffer.from(syntheticEmbedding(name).buffer))).toBe(false);
  for (const file of readdirSync(join(folder, 'crops')))
    for (const name of names) expect(bytesOf('crops', file).includes(Buffer.from(syntheticCrop(name)))).toBe(false);
  expect(await index.forget(theirs(names))).toBe(0);
  await index.replaceSpan(syntheticSegment('cam-1', 0, 50));
  expect(await everything(index, 'cam-1', 0, 60_000)).toHaveLength(50);
  await index.close();
});

test('leaves nothing of somebody in any file, also of sightings that were replaced, and everything of others', async () => {
  const index = FaceIndex.open(folder);
  // Of the first times only 10 of 50 faces count still, and of the second none: their pictures are nobody's now.
  await index.replaceSpan(syntheticSegment('cam-1', 0, 50));
  await index.replaceSpan(syntheticSegment('cam-1', 1, 50));
  const across = { ...syntheticSegment('cam-1', 0, 0), fromMs: 100, toMs: 120_000 };
  const again = [...syntheticSegment('cam-1', 0, 50, 1).sightings.slice(10), ...syntheticSegment('cam-1', 1, 50, 1).sightings];
  await index.replaceSpan({ ...across, sightings: again });
  const names = ['cam-1/70/0', 'cam-1/200/0', 'cam-1/200/1', 'cam-1/60010/0', 'cam-1/60490/0'];
  const own = (await everything(index)).filter(({ atMs }) => [70, 200].includes(atMs)).map((s) => s.sightingId);
  const pieces = names.flatMap((name) => [Buffer.from(syntheticEmbedding(name).buffer), Buffer.from(syntheticCrop(name))]);
  pieces.push(...own.map((id) => Buffer.from(id, 'hex')));
  const found = () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    const bytes = files.map((file) => readFileSync(join(file.parentPath, file.name)));
    return pieces.filter((piece) => bytes.some((file) => file.includes(piece))).length;
  };
  expect(found()).toBe(pieces.length);
  expect(await index.forget(theirs(names))).toBe(2);
  expect(found()).toBe(0);
  expect(await everything(index)).toHaveLength(98);
  await expectTrue(index, 'cam-1', (at) => (at >= 100 ? 1 : 0));
  await index.close();
});

test('faces are kept for 30 days and an hour: first the day counts as not looked at, then it goes, and it can be indexed again', async () => {
  let now = 100 * DAY;
  let index = FaceIndex.open(folder, () => now);
  const day = 99 * (DAY / 60_000);
  await index.replaceSpan(syntheticSegment('cam-1', day, 20));
  now += 10 * DAY;
  await index.replaceSpan(syntheticSegment('cam-1', day + DAY / 60_000, 20));
  const sweep = () => index.expire(now - 30 * DAY);
  const seen = async () => (await everything(index, 'cam-1', 0, 200 * DAY)).length;
  const covered = () => index.coverage('cam-1', 'test.1', 0, 200 * DAY).length;
  const [crop] = await everything(index, 'cam-1', 0, 200 * DAY);
  now += 20 * DAY - 1;
  expect(await sweep()).toBe(0);
  expect([covered(), await seen()]).toEqual([2, 40]);
  now += 1;
  expect(await sweep()).toBe(0);
  // Whoever asked about coverage a moment ago still finds whom it had.
  expect([covered(), await seen()]).toEqual([1, 40]);
  now += 1800_000;
  await index.replaceSpan(syntheticSegment('cam-1', day, 20));
  now += 1800_000;
  expect(await sweep()).toBe(0);
  expect([covered(), await seen()]).toEqual([1, 40]);
  now += 3_600_000;
  expect(await sweep()).toBe(1);
  expect([covered(), await seen()]).toEqual([1, 20]);
  expect(readdirSync(join(folder, 'vectors'))).toEqual(['2.f32']);
  await expect(index.readCrop(crop!.sightingId)).rejects.toMatchObject({ code: 'crop.not_found' });
  await index.close();
  index = FaceIndex.open(folder, () => now);
  expect(index.lostDays).toBe(0);
  await index.replaceSpan(syntheticSegment('cam-1', day, 20));
  expect(await sweep()).toBe(0);
  expect([covered(), await seen()]).toEqual([2, 40]);
  await index.close();
});

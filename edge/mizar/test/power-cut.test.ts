import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordedDisk, sampleCuts, seeded } from '../../platform/test/support/power-cut';
import { type Call, canRecord, recordWrites } from '../../platform/test/support/recorded-writes';
import { FaceIndex } from '../src/index-store/face-index.store';
import { matchSightings } from '../src/match-sightings';
import { syntheticCrop, syntheticEmbedding } from './support/synthetic';

const withStrace = canRecord() ? test : test.skip;
const runSources = join(__dirname, '..', '..', 'platform', 'test', 'support', 'register.cjs');
const cuts = 120;
const facesPerSegment = 40;
const minute = 60_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-power-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const support = (name: string) => join(__dirname, 'support', name);

async function crops(index: FaceIndex, untilMs: number): Promise<number> {
  const queries = [{ personId: 'anybody', embeddings: syntheticEmbedding('anybody') }];
  const question = { cameraId: 'cam-1', packId: 'test.1', fromMs: 0, toMs: untilMs, threshold: -1, dimension: 16, queries };
  let count = 0;
  for await (const page of matchSightings(index, question, new AbortController().signal)) {
    for (const sighting of page) {
      const expected = Buffer.from(syntheticCrop(`cam-1/${sighting.atMs}/0`));
      expect(expected.equals(Buffer.from(await index.readCrop(sighting.sightingId)))).toBe(true);
      count++;
    }
  }
  return count;
}

withStrace('after a power cut the face index holds every segment it said it stored, and claims nothing else', async () => {
  const recorded = join(folder, 'recorded');
  const calls: Call[] = await recordWrites(recorded, ['-r', runSources, support('index-for-ever.ts'), recorded, '0'], 25);
  const seed = Date.now() % 1_000_000;
  const random = seeded(seed);
  const disk = new RecordedDisk(calls);
  for (const [i, cut] of sampleCuts(calls, cuts, random).entries()) {
    const copy = join(folder, `cut-${i}`);
    disk.advanceTo(cut.count);
    disk.cutPower(copy, cut.luck, random);
    const index = FaceIndex.open(copy);
    const stored = cut.said.length;
    const [span] = index.coverage('cam-1', 'test.1', 0, 1e12);
    const covered = (span?.toMs ?? 0) / minute;
    const context = { seed, ...cut, said: stored };
    expect({ ...context, lostDays: index.lostDays }).toEqual({ ...context, lostDays: 0 });
    // The segment that was being stored may have been stored without having been told.
    expect([
      { ...context, covered: stored },
      { ...context, covered: stored + 1 },
    ]).toContainEqual({ ...context, covered });
    expect({ ...context, crops: await crops(index, 1e12) }).toEqual({ ...context, crops: covered * facesPerSegment });
    await index.close();
    rmSync(copy, { recursive: true, force: true });
  }
});

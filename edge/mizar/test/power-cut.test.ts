import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEachCut } from '../../platform/test/support/power-cut';
import { type Life, recordLives, testRecorded } from '../../platform/test/support/recorded-writes';
import { FaceIndex } from '../src/index-store/face-index.store';
import { matchSightings } from '../src/match-sightings';
import { heldAfter, segmentOf, stepNumber } from './support/index-steps';
import { syntheticCrop, syntheticEmbedding } from './support/synthetic';

const minuteMs = 60_000;
const foreverMs = 1e12;
const asked = syntheticEmbedding('anybody');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-power-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Every sighting of the camera as moment and likeness to somebody, in order; its crop must be its own. */
async function sightingsOf(index: FaceIndex, cameraId: string, versionAt: (atMs: number) => number): Promise<[number, number][]> {
  const queries = [{ personId: 'anybody', embeddings: asked }];
  const question = { cameraId, packId: 'test.1', fromMs: 0, toMs: foreverMs, threshold: -1, dimension: 16, queries };
  const found: [number, number][] = [];
  for await (const page of matchSightings(index, question, new AbortController().signal)) {
    for (const sighting of page) {
      const crop = await index.readCrop(sighting.sightingId);
      const expected = syntheticCrop(`${cameraId}/${sighting.atMs}/${versionAt(sighting.atMs)}`);
      expect(Buffer.from(crop).equals(Buffer.from(expected))).toBe(true);
      found.push([sighting.atMs, sighting.score]);
    }
  }
  return found.sort(([a], [b]) => a - b);
}

const likeness = (embedding: Float32Array): number => embedding.reduce((sum, x, i) => sum + x * (asked[i] as number), 0);

testRecorded('after a power cut the face index holds every segment it said it stored, and claims nothing else', async () => {
  const recorded = join(folder, 'recorded');
  mkdirSync(recorded);
  // Killed with a commit or the end of a file not synced, also before anything was stored.
  const lives: Life[] = [
    { until: 'fsync', nth: 24 },
    { until: 'fdatasync', nth: 1 },
    { until: 'fdatasync', nth: 5 },
    { until: 'fsync', nth: 6 },
    { until: 'fsync', nth: 30 },
  ];
  const calls = await recordLives(recorded, join(__dirname, 'support', 'index-lives.ts'), lives);
  await afterEachCut(calls, folder, 120, async (copy, { said }) => {
    const index = FaceIndex.open(join(copy, 'mizar'));
    expect(index.lostDays).toBe(0);
    const promised = Number(said.at(-1) ?? 0);
    const stored = index.counters().segments_indexed_total ?? 0;
    // The segment that was being stored may be there without having been promised.
    expect([promised, promised + 1]).toContain(stored);
    for (const cameraId of ['cam-1', 'cam-2']) {
      const held = [...heldAfter(stored, cameraId).values()].sort((a, b) => a.minute - b.minute);
      const covered = index.coverage(cameraId, 'test.1', 0, foreverMs);
      const [first, last] = [held[0], held.at(-1)];
      expect(covered).toEqual(
        first && last ? [{ fromMs: first.minute * minuteMs, toMs: (last.minute + 1) * minuteMs, samplingMs: 1000 }] : [],
      );
      const versions = new Map(held.map((step) => [step.minute, step.version]));
      const found = await sightingsOf(index, cameraId, (atMs) => versions.get(Math.floor(atMs / minuteMs)) ?? -1);
      const expected = held.flatMap((step) => segmentOf(step).sightings.map((s) => [s.atMs, likeness(s.embedding)] as const));
      expect(found.map(([atMs]) => atMs)).toEqual(expected.map(([atMs]) => atMs));
      // Summed in another order.
      expect(found.every(([, score], i) => Math.abs(score - (expected[i]?.[1] ?? 0)) < 1e-5)).toBe(true);
    }
    // And it goes on where it stopped, over whatever the cut left behind its ends.
    const next = stepNumber(stored);
    await index.replaceSpan(segmentOf(next));
    const versions = heldAfter(stored + 1, next.cameraId);
    const found = await sightingsOf(index, next.cameraId, (atMs) => versions.get(Math.floor(atMs / minuteMs))?.version ?? -1);
    expect(found).toHaveLength([...versions.values()].flatMap((step) => segmentOf(step).sightings).length);
    await index.close();
  });
});

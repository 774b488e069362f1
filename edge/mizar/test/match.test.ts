/** Questions to a real index of whatever content, beside the answer of comparing everything with everything. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FaceIndex, type IndexedSegment } from '../src/index-store/face-index.store';
import { type NewSighting, sightingId } from '../src/index-store/sighting';
import { type Match, type MatchQuestion, matchSightings } from '../src/match-sightings';
import { TestMizar } from './support/mizar';

const MINUTE = 60_000;
const DAY = 86_400_000;
const DIMENSION = 16;

interface Stored extends NewSighting {
  readonly id: string;
  readonly cameraId: string;
  readonly packId: string;
}

async function ask(index: FaceIndex, question: MatchQuestion): Promise<Match[]> {
  const found: Match[] = [];
  for await (const page of matchSightings(index, question, new AbortController().signal)) {
    expect(page.length).toBeGreaterThan(0);
    expect(page.length).toBeLessThanOrEqual(100);
    found.push(...page);
  }
  return found;
}

/** What is stored, as a plain list: a segment takes the place of whatever the camera and pack had in its span. */
function replace(stored: readonly Stored[], segment: IndexedSegment): Stored[] {
  const { cameraId, packId, fromMs, toMs } = segment;
  const kept = stored.filter((s) => s.cameraId !== cameraId || s.packId !== packId || s.atMs < fromMs || s.atMs >= toMs);
  const added = new Map<string, Stored>();
  for (const s of segment.sightings) {
    const id = sightingId(cameraId, packId, s.atMs, s.box).toString('hex');
    // Two boxes of a frame on the same pixels are one sighting, the first.
    if (!added.has(id)) added.set(id, { ...s, id, cameraId, packId });
  }
  return [...kept, ...added.values()];
}

/** One line a match, sorted: by whom, which sighting, how near, and where it says it was. */
const lines = (found: readonly { personId: string; id: string; score: number; atMs: number; box: readonly number[] }[]): string[] =>
  found.map((m) => [m.personId, m.id, m.score + 0, m.atMs, m.box.join()].join(' ')).sort();

function everything(stored: readonly Stored[], question: MatchQuestion): string[] {
  return lines(
    stored
      .filter((s) => s.cameraId === question.cameraId && s.packId === question.packId)
      .filter((s) => s.atMs >= question.fromMs && s.atMs < question.toMs)
      .filter((s) => s.embedding.some((v) => v !== 0) && !s.embedding.some(Number.isNaN))
      .flatMap((s) =>
        question.queries.flatMap(({ personId, embeddings }) => {
          const scores: number[] = [];
          for (let at = 0; at < embeddings.length; at += DIMENSION) {
            scores.push(s.embedding.reduce((sum, v, i) => sum + v * embeddings[at + i]!, 0));
          }
          const score = Math.max(...scores);
          return score >= question.threshold ? [{ ...s, personId, score }] : [];
        }),
      ),
  );
}

/** Halves and quarters: sums are exact in any order, so that an answer can be compared to the last bit. */
const coarse = fc
  .array(fc.constantFrom(-0.5, -0.25, 0, 0.25, 0.5), { minLength: DIMENSION, maxLength: DIMENSION })
  .map((v) => Float32Array.from(v));
const cameras = fc.constantFrom('gate', 'lobby');
const packs = fc.constantFrom('one.1', 'two.1');
/** Around a midnight, where a camera's files change. */
const minute = fc.integer({ min: DAY / MINUTE - 4, max: DAY / MINUTE + 3 });

const world = fc.array(coarse, { minLength: 2, maxLength: 4 }).chain((faces) => {
  const face = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...faces) },
    { weight: 1, arbitrary: fc.constantFrom(new Float32Array(DIMENSION), new Float32Array(DIMENSION).fill(Number.NaN)) },
  );
  const sighting = fc.record({ at: fc.integer({ min: 0, max: 29 }), x: fc.constantFrom(10, 10.3, 200, 900), face });
  const segment = fc.record({
    cameraId: cameras,
    packId: packs,
    minute,
    minutes: fc.integer({ min: 1, max: 3 }),
    seen: fc.array(sighting, { maxLength: 12 }),
  });
  const question = fc.record({
    cameraId: cameras,
    packId: packs,
    from: fc.integer({ min: -5, max: 4 }),
    minutes: fc.oneof(fc.double({ min: 0.001, max: 9, noNaN: true }), fc.constant(10)),
    threshold: fc.integer({ min: -8, max: 16 }).map((t) => t / 8),
    people: fc.array(fc.array(fc.constantFrom(...faces), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  });
  return fc.record({ segments: fc.array(segment, { maxLength: 8 }), questions: fc.array(question, { minLength: 4, maxLength: 8 }) });
});

test('every sighting of the camera, pack and time asked for is answered for every person near enough, once, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(world, async ({ segments, questions }) => {
      const folder = mkdtempSync(join(tmpdir(), 'mizar-match-'));
      const index = FaceIndex.open(folder);
      try {
        let stored: Stored[] = [];
        for (const { cameraId, packId, minute: first, minutes, seen } of segments) {
          const fromMs = first * MINUTE;
          const spanMs = minutes * MINUTE;
          const sightings = seen
            .map(({ at, x, face }) => ({
              atMs: fromMs + Math.floor((at * spanMs) / 30),
              box: [x, 10, 50, 60] as const,
              quality: 0.5,
              embedding: face,
              crop: new Uint8Array(0),
            }))
            .sort((a, b) => a.atMs - b.atMs);
          const span = { fromMs, toMs: fromMs + spanMs, samplingMs: 1000 };
          const segment = { cameraId, packId, dimension: DIMENSION, ...span, frameWidth: 1920, frameHeight: 1080, sightings };
          await index.replaceSpan(segment);
          stored = replace(stored, segment);
        }
        for (const { from, minutes, people, ...rest } of questions) {
          const fromMs = DAY + from * MINUTE;
          const queries = people.map((p, i) => ({ personId: `p${i}`, embeddings: Float32Array.from(p.flatMap((e) => [...e])) }));
          const question = { ...rest, fromMs, toMs: fromMs + Math.ceil(minutes * MINUTE), dimension: DIMENSION, queries };
          const found = await ask(index, question);
          expect(lines(found.map((m) => ({ ...m, id: m.sightingId })))).toEqual(everything(stored, question));
        }
      } finally {
        await index.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 25 },
  );
});

test('the same over more than one block of memory and one page of answers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mizar-match-'));
  const index = FaceIndex.open(folder);
  try {
    // A block is 1 MB: 16,384 of these.
    const count = 40_000;
    let state = 1;
    const part = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return ((state >>> 16) % 5) / 4 - 0.5;
    };
    const sightings = Array.from({ length: count }, (_, i) => ({
      atMs: i,
      box: [i % 7, 10, 50, 60] as const,
      quality: 0.5,
      embedding: Float32Array.from({ length: DIMENSION }, part),
      crop: new Uint8Array(0),
    }));
    const span = { fromMs: 0, toMs: MINUTE, samplingMs: 1000 };
    const segment = { cameraId: 'gate', packId: 'one.1', dimension: DIMENSION, ...span, frameWidth: 1920, frameHeight: 1080, sightings };
    await index.replaceSpan(segment);
    const queries = [0, 16_383, 16_384, 39_999].map((i) => ({ personId: `p${i}`, embeddings: sightings[i]!.embedding }));
    const question = { cameraId: 'gate', packId: 'one.1', fromMs: 10, toMs: count - 10, threshold: 1, dimension: DIMENSION, queries };
    const found = lines((await ask(index, question)).map((m) => ({ ...m, id: m.sightingId })));
    expect(found).toEqual(everything(replace([], segment), question));
    expect(found.length).toBeGreaterThan(200);
  } finally {
    await index.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a question with NaN, infinity, zero vectors, or without unit length is refused by name; so is a threshold that is no number', async () => {
  const agent = await TestMizar.start({});
  try {
    const vector = (...values: number[]): Buffer => {
      const floats = Float32Array.from({ length: DIMENSION }, (_, i) => values[i] ?? 0);
      return Buffer.from(floats.buffer);
    };
    const good = vector(1);
    const refused = (embeddings: Buffer[], field: string) =>
      expect(
        agent.match({
          toMs: 1000,
          persons: [
            { personId: 'somebody', embeddings: [good] },
            { personId: 'p', embeddings },
          ],
        }),
      ).rejects.toMatchObject({ code: 'request.invalid', params: { field } });
    for (const bad of [vector(Number.NaN), vector(1, Number.NaN), vector(Number.POSITIVE_INFINITY), vector(), vector(0.5), vector(1, 1)]) {
      await refused([bad], 'persons.1.embeddings.0');
      await refused([good, bad], 'persons.1.embeddings.1');
    }
    await refused([good.subarray(4)], 'persons.1.embeddings.0');
    await refused([], 'persons.1.embeddings');
    for (const threshold of [Number.NaN, Number.POSITIVE_INFINITY, -0.1, 1.1]) {
      const question = agent.match({ toMs: 1000, threshold, persons: [{ personId: 'p', embeddings: [good] }] });
      await expect(question).rejects.toMatchObject({ code: 'request.invalid', params: { field: 'threshold' } });
    }
    // And a good one is answered.
    expect(await agent.match({ toMs: 1000, persons: [{ personId: 'p', embeddings: [good] }] })).toEqual([]);
  } finally {
    await agent.stop();
  }
});

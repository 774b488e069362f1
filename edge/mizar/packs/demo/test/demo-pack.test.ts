/** The demo's pack runs through the very code of every other pack: it is loaded, finds drawn people and tells them apart. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { firstUnseenSeed } from '../../../../../tools/people/cast.ts';
import { identityOf } from '../../../../../tools/people/identity.ts';
import { drawFrom } from '../../../../../tools/people/random.ts';
import { renderFace } from '../../../../../tools/people/render-face.ts';
import { sceneHeight, sceneWidth } from '../../../../../tools/people/scenes.ts';
import { frontView, type View } from '../../../../../tools/people/view.ts';
import { embedPhoto } from '../../../src/embed-photo';
import { InferencePool } from '../../../src/inference/pool';
import { loadPack } from '../../../src/pack/load-pack';
import { defaultThreshold, type LoadedPack } from '../../../src/pack/pack';
import { fromSource } from '../../../test/support/mizar';
import { compose, filmed } from '../training/film.ts';

const folder = join(__dirname, '..');
const people = Array.from({ length: 6 }, (_, i) => identityOf(firstUnseenSeed + 700_000 + i));
let pack: LoadedPack;
let pool: InferencePool;
beforeAll(async () => {
  pack = await loadPack(folder);
  pool = await InferencePool.open({ pack, threads: 1, ...fromSource });
});
afterAll(() => pool?.close());

async function photo(person: number, change: Partial<View>): Promise<Float32Array> {
  const { svg } = renderFace(people[person]!, { ...frontView, ...change }, 160);
  const jpeg = await sharp(Buffer.from(svg)).flatten({ background: '#9aa7a0' }).jpeg({ quality: 85 }).toBuffer();
  return (await embedPhoto(pool, pack.spec, jpeg)).embedding;
}

const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

test('both models together take at most 3 MB, and the pack says what it is', () => {
  const bytes = [pack.spec.detector, pack.spec.embedder].map(({ file }) => statSync(join(folder, file)).size);
  expect(bytes[0]! + bytes[1]!).toBeLessThan(3 * 1024 * 1024);
  expect(pack.spec).toMatchObject({ id: 'demo.2', licence: 'Apache-2.0', embedder: { dimension: 128 } });
});

test('two photos of a person are closer than the default threshold, those of strangers are not', async () => {
  const enrolled = await Promise.all(people.map((_, i) => photo(i, { lightFrom: 0.2 })));
  const again = await Promise.all(people.map((_, i) => photo(i, { yaw: 14, smile: 0.9, mouthOpen: 0.3, lightFrom: 0.8, outfit: 99 + i })));
  for (const [i, face] of enrolled.entries()) {
    for (const [j, other] of again.entries()) {
      if (i === j) expect(cosine(face, other)).toBeGreaterThan(defaultThreshold(pack.spec));
      else expect(cosine(face, other)).toBeLessThan(defaultThreshold(pack.spec));
    }
  }
});

test('everybody in a filmed scene is found where they stand and recognised; who turns away is not', async () => {
  const enrolled = await Promise.all(people.map((_, i) => photo(i, {})));
  const actors = people.map((identity, person) => ({
    person,
    identity,
    view: { ...frontView, yaw: person === 0 ? 180 : person * 5 - 15, framing: 'bust' as const, outfit: person },
    facePx: person === 0 ? 150 : 72,
  }));
  const take = await compose(drawFrom(5), 990_001, actors);
  expect(take.seen).toHaveLength(people.length);
  const [bytes] = await filmed([take.rgb], 26);
  const pixels = new SharedArrayBuffer(bytes!.length);
  new Uint8Array(pixels).set(bytes!);
  const { faces } = await pool.frame({ pixels, width: sceneWidth, height: sceneHeight, colour: { matrix: 'bt601', fullRange: false } });
  const named = faces.map(({ box: [x, y, width, height], embedding }) => {
    const [cx, cy] = [x + width / 2, y + height / 2];
    const at = take.seen.find(({ box }) => cx > box.x && cx < box.x + box.width && cy > box.y && cy < box.y + box.height);
    return { stands: at?.person, looks: enrolled.findIndex((own) => cosine(own, embedding) > defaultThreshold(pack.spec)) };
  });
  expect(named.map(({ stands }) => stands).sort()).toEqual([1, 2, 3, 4, 5]);
  for (const { stands, looks } of named) expect(looks).toBe(stands);
}, 60_000);

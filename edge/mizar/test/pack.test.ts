import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferencePool } from '../src/inference/pool';
import { knownPacks } from '../src/pack/known-files';
import { loadPack } from '../src/pack/load-pack';
import type { LoadedPack, PackSpec } from '../src/pack/pack';
import { fromSource, hasModels, modelsFolder, TestMizar } from './support/mizar';

const known = knownPacks.find((p) => p.id === 'yunet-mobilefacenet.1')!;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizar-pack-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (spec: unknown): void => writeFileSync(join(folder, 'pack.json'), typeof spec === 'string' ? spec : JSON.stringify(spec));
const refusal = (): Promise<{ code: string; params: { field: string } }> =>
  loadPack(folder).then(
    () => fail('was taken'),
    (error) => error,
  );

describe('a pack is refused with the field at fault', () => {
  const bytes = Buffer.from('not a model');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const plain: PackSpec = { ...known, detector: { ...known.detector, sha256 }, embedder: { ...known.embedder, sha256 } };
  beforeEach(() => {
    for (const model of [plain.detector, plain.embedder]) writeFileSync(join(folder, model.file), bytes);
  });

  test.each<[string, unknown, string]>([
    ['no JSON', '{', 'pack.json'],
    ['a list', [], 'pack.json'],
    ['an id that cannot be a key', { ...plain, id: 'a b' }, 'id'],
    ['no licence', { ...plain, licence: '' }, 'licence'],
    ['an unknown decoder', { ...plain, detector: { ...plain.detector, decoder: 'retina' } }, 'detector.decoder'],
    ['a file outside the folder', { ...plain, detector: { ...plain.detector, file: '../x.onnx' } }, 'detector.file'],
    ['a size that is no multiple of 32', { ...plain, detector: { ...plain.detector, input: [600, 600] } }, 'detector.input'],
    ['no default threshold', { ...plain, thresholds: { '0.001': 0.4 } }, 'thresholds.default'],
    ['a word nobody knows', { ...plain, gpu: true }, 'gpu'],
    ['a spread of zero', { ...plain, embedder: { ...plain.embedder, std: [0, 1, 1] } }, 'embedder.std'],
  ])('%s', async (_, spec, field) => {
    put(spec);
    expect(await refusal()).toMatchObject({ code: 'pack.invalid', params: { field: expect.stringMatching(`^${field}`) } });
  });

  test('wrong bytes, and no bytes', async () => {
    put({ ...plain, embedder: { ...plain.embedder, sha256: known.embedder.sha256 } });
    expect(await refusal()).toMatchObject({ code: 'pack.hash_mismatch', params: { field: 'embedder.sha256', found: sha256 } });
    rmSync(join(folder, plain.detector.file));
    put(plain);
    expect(await refusal()).toMatchObject({ code: 'pack.file_missing', params: { field: 'detector.file' } });
  });

  test('right bytes that are no model', async () => {
    put(plain);
    await expect(InferencePool.open({ pack: await loadPack(folder), threads: 1, ...fromSource })).rejects.toMatchObject({
      code: 'pack.invalid',
      params: { field: 'detector.file' },
    });
  });

  test('a folder with neither pack.json nor known files; known names with other bytes', async () => {
    expect(await refusal()).toMatchObject({ code: 'pack.hash_mismatch', params: { field: 'detector.sha256' } });
    for (const model of [plain.detector, plain.embedder]) rmSync(join(folder, model.file));
    expect(await refusal()).toMatchObject({ code: 'pack.file_missing', params: { field: 'pack.json' } });
  });
});

test('models of other bytes than their pack says are never run: health says so, and what needs eyes is refused', async () => {
  for (const model of [known.detector, known.embedder]) writeFileSync(join(folder, model.file), 'not the model that was measured');
  put(known);
  const agent = await TestMizar.start({ MIZAR_PACK: folder });
  expect(agent.agent.health?.()).toMatchObject({ code: 'pack.hash_mismatch' });
  await expect(agent.embed(Buffer.from('x'))).rejects.toMatchObject({ code: 'pack.missing', params: { code: 'pack.hash_mismatch' } });
  await expect(agent.index({ path: join(folder, 'pack.json'), fromMs: 0, toMs: 1000 })).rejects.toMatchObject({ code: 'pack.missing' });
  await agent.stop();
});

test('without a pack Mizar runs, says what is wrong, answers from its index and refuses to look', async () => {
  const agent = await TestMizar.start({ MIZAR_PACK: folder });
  expect(agent.agent.health?.()).toMatchObject({ code: 'pack.file_missing' });
  expect(await agent.coverage('cam-1', 0, 1000)).toEqual([]);
  await expect(agent.embed(Buffer.from('x'))).rejects.toMatchObject({ code: 'pack.missing', params: { code: 'pack.file_missing' } });
  await agent.stop();
});

const withModels = hasModels ? describe : describe.skip;
withModels('with the real models', () => {
  let loaded: LoadedPack;
  beforeEach(async () => {
    for (const model of [known.detector, known.embedder]) copyFileSync(join(modelsFolder!, model.file), join(folder, model.file));
    loaded = await loadPack(folder);
  });
  const but = (change: (spec: PackSpec) => void): LoadedPack => {
    const spec = structuredClone(loaded.spec);
    change(spec);
    return { ...loaded, spec };
  };

  test('known files need no pack.json, and a pack.json may describe them', async () => {
    expect(loaded.spec.id).toBe('yunet-mobilefacenet.1');
    put({ ...known, id: 'mine.7' });
    expect((await loadPack(folder)).spec.id).toBe('mine.7');
  });

  test.each<[string, (spec: PackSpec) => void]>([
    ['detector.inputName', (s) => (s.detector.inputName = 'data')],
    ['detector.outputs.kps.2', (s) => (s.detector.outputs.kps[2] = 'kps_64')],
    // Swapped outputs have the right names and the wrong shapes.
    ['detector.outputs.cls.0', (s) => (s.detector.outputs.cls[0] = 'cls_16')],
    ['embedder.outputName', (s) => (s.embedder.outputName = 'fc1')],
    ['embedder.dimension', (s) => (s.embedder.dimension = 512)],
  ])('%s is checked against the model', async (field, change) => {
    // In a worker, as in life: jest's own Float32Array is not the one the runtime knows.
    await expect(InferencePool.open({ pack: but(change), threads: 1, ...fromSource })).rejects.toMatchObject({
      code: 'pack.invalid',
      params: { field },
    });
  });
});

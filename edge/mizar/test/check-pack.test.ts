/** Real ONNX models, each wrong in one thing, in the process that checks packs. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPack } from '../src/pack/check-pack';
import type { PackSpec } from '../src/pack/pack';
import { fromSource, TestMizar } from './support/mizar';
import { type TinyPack, tinyPack, writeTinyPack } from './support/tiny-pack';

const demo = join(__dirname, '..', 'packs', 'demo');
const { execArgv } = fromSource;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'check-pack-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const verdict = (): Promise<unknown> =>
  checkPack(folder, { execArgv }).then(
    () => 'taken',
    ({ code, params }: { code: string; params: { field?: string } }) => `${code} ${params.field}`,
  );

test('a pack whose models have the tensors it says is taken', async () => {
  const written = writeTinyPack(folder, tinyPack('tiny.1'));
  expect(await checkPack(folder, { execArgv })).toEqual(written);
  expect((await checkPack(demo, { execArgv })).id).toBe('demo.2');
});

test.each<[string, string, (pack: TinyPack) => unknown]>([
  ['an input of another name', 'detector.inputName', (p) => (p.spec.detector.inputName = 'data')],
  ['a second input', 'detector.inputName', (p) => p.detector.inputs.push({ name: 'prior', shape: [1] })],
  ['a size the model does not take', 'detector.input', (p) => (p.spec.detector.input = [96, 64])],
  ['one size, said to be any', 'detector.input', (p) => (p.spec.detector.input = { dynamic: true, longestSide: 640, minScale: 0.5 })],
  ['an input of whole numbers', 'detector.input', (p) => (p.detector.inputs[0] = { name: 'input', shape: [1, 3, 64, 64], type: 'int64' })],
  ['grey pictures', 'detector.input', (p) => (p.detector.inputs[0] = { name: 'input', shape: [1, 1, 64, 64] })],
  ['an output that is not there', 'detector.outputs.kps.2', (p) => (p.spec.detector.outputs.kps[2] = 'kps_64')],
  ['outputs of two strides swapped', 'detector.outputs.cls.0', (p) => p.spec.detector.outputs.cls.reverse()],
  [
    'the values of a cell apart',
    'detector.outputs.bbox.0',
    (p) => (p.detector.outputs = p.detector.outputs.map((o) => (o.name === 'bbox_8' ? { ...o, shape: [1, 4, 64] } : o))),
  ],
  [
    'an output of doubles',
    'detector.outputs.obj.1',
    (p) => (p.detector.outputs = p.detector.outputs.map((o) => (o.name === 'obj_16' ? { ...o, type: 'float64' } : o))),
  ],
  [
    'an answer that is no number',
    'detector.outputs.cls.1',
    (p) => (p.detector.outputs = p.detector.outputs.map((o) => (o.name === 'cls_16' ? { ...o, value: Number.NaN } : o))),
  ],
  ['faces of another size', 'embedder.input', (p) => (p.embedder.inputs[0] = { name: 'face', shape: [1, 3, 128, 128] })],
  ['another name of the embedding', 'embedder.outputName', (p) => (p.spec.embedder.outputName = 'fc1')],
  ['another length of the embedding', 'embedder.dimension', (p) => (p.spec.embedder.dimension = 512)],
])('%s is refused', async (_, field, change) => {
  const pack = tinyPack('tiny.1');
  change(pack);
  writeTinyPack(folder, pack);
  expect(await verdict()).toBe(`pack.invalid ${field}`);
});

test('a model cut off in the middle is refused, also when its hash is right', async () => {
  const spec = JSON.parse(readFileSync(join(demo, 'pack.json'), 'utf8')) as PackSpec;
  for (const { file } of [spec.detector, spec.embedder]) copyFileSync(join(demo, file), join(folder, file));
  for (const part of ['detector', 'embedder'] as const) {
    const half = readFileSync(join(demo, spec[part].file)).subarray(0, 100_000);
    writeFileSync(join(folder, spec[part].file), half);
    writeFileSync(join(folder, 'pack.json'), JSON.stringify(spec));
    expect(await verdict()).toBe(`pack.hash_mismatch ${part}.sha256`);
    const sha256 = createHash('sha256').update(half).digest('hex');
    writeFileSync(join(folder, 'pack.json'), JSON.stringify({ ...spec, [part]: { ...spec[part], sha256 } }));
    expect(await verdict()).toBe(`pack.invalid ${part}.file`);
    copyFileSync(join(demo, spec[part].file), join(folder, spec[part].file));
  }
});

test('what is no plain file of a bearable size is neither read nor waited for', async () => {
  const { detector } = writeTinyPack(folder, tinyPack('tiny.1'));
  rmSync(join(folder, detector.file));
  expect(await verdict()).toBe('pack.file_missing detector.file');
  execFileSync('mkfifo', [join(folder, detector.file)]);
  expect(await verdict()).toBe('pack.invalid detector.file');
  writeFileSync(join(folder, 'pack.json'), ' '.repeat(1024 * 1024));
  expect(await verdict()).toBe('pack.invalid pack.json');
  rmSync(join(folder, 'pack.json'));
  mkdirSync(join(folder, 'pack.json'));
  expect(await verdict()).toBe('pack.invalid pack.json');
});

test('a model that takes its process with it, or never ends, is refused and stops nobody else', async () => {
  const dying = ['-r', join(__dirname, 'support', 'dying-check.cjs'), ...(execArgv ?? [])];
  const crash = checkPack(join(folder, 'crashing'), { execArgv: dying });
  await expect(crash).rejects.toMatchObject({ code: 'pack.crashes', params: { how: 'SIGSEGV' } });
  const hang = checkPack(join(folder, 'hanging'), { execArgv: dying, withinMs: 500 });
  await expect(hang).rejects.toMatchObject({ code: 'pack.crashes', params: { how: 'no answer in 500 ms' } });
  const abort = new AbortController();
  const given = checkPack(join(folder, 'hanging'), { execArgv: dying, signal: abort.signal });
  abort.abort();
  await expect(given).rejects.toMatchObject({ code: 'mizar.cancelled' });
});

test('Mizar starts with such a pack no more than it is installed, and says the same', async () => {
  const pack = tinyPack('tiny.1');
  pack.spec.embedder.dimension = 512;
  writeTinyPack(folder, pack);
  const mizar = await TestMizar.start({ MIZAR_PACK: folder });
  expect(mizar.agent.health?.()).toMatchObject({ code: 'pack.invalid', detail: '{"field":"embedder.dimension"}' });
  await mizar.stop();
});

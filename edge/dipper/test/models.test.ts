/** Adding packs: what is taken, what is refused, and the catalogue. Real ONNX, a real server. */
import { createHash } from 'node:crypto';
import { appendFileSync, chownSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fromSource } from '../../mizar/test/support/mizar';
import { type AddPack, addPack } from '../src/models/add-pack';
import type { CatalogueEntry } from '../src/models/catalogue';
import { progressOn } from '../src/models/progress';
import { droppedAfter, FaultyServer } from './support/faulty-server';
import { buildDipper, demoPack, TestBox } from './support/models-command';
import { tarOf } from './support/tar-of';

let box: TestBox;
let server: FaultyServer;
beforeAll(buildDipper, 240_000);
beforeEach(async () => {
  box = new TestBox();
  server = await FaultyServer.start();
});
afterEach(async () => {
  await server.stop();
  await box.close();
});

describe('adding', () => {
  test('from a folder, an archive and an address: listed, checked, and the same again is no harm', async () => {
    expect(await box.models(['add', demoPack])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('demo.2 is installed (Apache-2.0)'),
    });
    expect(await box.models(['add', box.archived(box.made('packed'))])).toMatchObject({ status: 0 });
    const served = box.archived(box.made('served'));
    server.plan.push(droppedAfter(300));
    const url = server.serve('/packs/served.tar.gz', readFileSync(served));
    const sha256 = createHash('sha256').update(readFileSync(served)).digest('hex');
    expect(await box.models(['add', url, '--sha256', sha256.toUpperCase(), '--json'])).toMatchObject({
      status: 0,
      stdout: `${JSON.stringify({ id: 'served', licence: 'CC0-1.0', alreadyInstalled: false })}\n`,
      stderr: expect.stringContaining('trying again'),
    });
    expect(box.inPacks()).toEqual(['.downloads', 'demo.2', 'packed', 'served']);
    expect(readdirSync(join(box.packs, '.downloads'))).toEqual([]);
    expect(readdirSync(join(box.packs, 'demo.2')).sort()).toEqual(['README.md', 'detector.onnx', 'embedder.onnx', 'pack.json']);
    expect(await box.models(['add', demoPack])).toMatchObject({ status: 0, stdout: expect.stringContaining('already') });
    expect(await box.list()).toMatchObject({
      packs: [{ id: 'demo.2', bytes: 2_271_769, licence: 'Apache-2.0', inUse: false }, { id: 'packed' }, { id: 'served' }],
      catalogue: [{ name: 'yunet-sface', id: 'yunet-sface.1', bytes: 38_928_942, nonCommercial: false, installed: false }],
      inUse: null,
      pinned: null,
    });
    expect((await box.models(['list'])).stdout).toMatch(/^ID +NAME +SIZE +STATE +LICENCE\ndemo\.2 +Demo .* 2\.3 MB +- +Apache-2\.0\n/);
    expect(await box.models(['verify'])).toMatchObject({ status: 0, stdout: 'demo.2  good\npacked  good\nserved  good\n' });
    appendFileSync(join(box.packs, 'packed', 'embedder.onnx'), 'rot');
    expect(await box.models(['verify'])).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('packed  pack.hash_mismatch {"field":"embedder.sha256"'),
    });
    expect(await box.models(['verify', 'nobody'])).toMatchObject({ status: 1, stdout: expect.stringContaining('pack.not_installed') });
  });

  test.each<[string, string, () => string | string[]]>([
    ['nothing', 'source.invalid {"reason":"not_found"}', () => join(box.folder, 'none')],
    [
      'an unknown decoder',
      'pack.invalid {"field":"detector.decoder"}',
      () => box.made('a', (p) => Object.assign(p.spec.detector, { decoder: 'retina' })),
    ],
    [
      'a key nobody knows',
      'pack.invalid {"field":"embedder.gpu"}',
      () => box.made('a', (p) => Object.assign(p.spec.embedder, { gpu: true })),
    ],
    [
      'tensors that are not there',
      'pack.invalid {"field":"detector.outputs.cls.0"}',
      () => box.made('a', (p) => (p.spec.detector.outputs.cls[0] = 'x')),
    ],
    ['another dimension', 'pack.invalid {"field":"embedder.dimension"}', () => box.made('a', (p) => (p.spec.embedder.dimension = 512))],
    ['one file for both', 'pack.invalid {"field":"embedder.file"}', () => box.made('a', (p) => (p.spec.embedder.file = 'detector.onnx'))],
    [
      'a model called as the description',
      'pack.invalid {"field":"detector.file"}',
      () => box.made('a', (p) => (p.spec.detector.file = 'pack.json')),
    ],
    ['an id that is a path', 'pack.invalid {"field":"id"}', () => box.made('..')],
    ['an id that is our own file', 'pack.invalid {"field":"id"}', () => box.made('in-use.json')],
    ['an id that is hidden', 'pack.invalid {"field":"id"}', () => box.made('.adding-1')],
    [
      'no pack.json',
      'pack.file_missing {"field":"pack.json"}',
      () => {
        const at = box.made('a');
        rmSync(join(at, 'pack.json'));
        return box.archived(at);
      },
    ],
    [
      'a pack.json that is no JSON',
      'pack.invalid {"field":"pack.json"}',
      () => {
        const at = box.made('a');
        writeFileSync(join(at, 'pack.json'), '{');
        return at;
      },
    ],
    [
      'a pack.json without end',
      'pack.invalid {"field":"pack.json"}',
      () => {
        const at = box.made('a');
        appendFileSync(join(at, 'pack.json'), ' '.repeat(300_000));
        return at;
      },
    ],
    [
      'a missing model',
      'pack.file_missing {"field":"embedder.file"}',
      () => {
        const at = box.made('a');
        rmSync(join(at, 'embedder.onnx'));
        return at;
      },
    ],
    [
      'a model that is a link',
      'pack.invalid {"field":"embedder.file"}',
      () => {
        const at = box.made('a');
        rmSync(join(at, 'embedder.onnx'));
        symlinkSync('/etc/passwd', join(at, 'embedder.onnx'));
        return at;
      },
    ],
    [
      'other bytes than the hash',
      'pack.hash_mismatch {"field":"detector.sha256"',
      () => {
        const at = box.made('a');
        appendFileSync(join(at, 'detector.onnx'), 'x');
        return at;
      },
    ],
    [
      'a broken model',
      'pack.invalid {"field":"detector.file"}',
      () => {
        const at = box.made('a');
        const half = readFileSync(join(at, 'detector.onnx')).subarray(0, 500);
        writeFileSync(join(at, 'detector.onnx'), half);
        const spec = JSON.parse(readFileSync(join(at, 'pack.json'), 'utf8')) as { detector: { sha256: string } };
        spec.detector.sha256 = createHash('sha256').update(half).digest('hex');
        writeFileSync(join(at, 'pack.json'), JSON.stringify(spec));
        return at;
      },
    ],
    [
      'an archive that leads outside',
      'pack.archive_invalid {"reason":"path","entry":"../outside"}',
      () => {
        const path = join(box.folder, 'evil.tar.gz');
        writeFileSync(path, gzipSync(tarOf([{ path: '../outside', body: 'x' }])));
        return path;
      },
    ],
    ['an archive of another hash', 'download.hash_mismatch', () => [box.archived(box.made('a')), '--sha256', '0'.repeat(64)]],
    ['a hash of something', 'source.invalid {"reason":"sha256"}', () => [box.archived(box.made('a')), '--sha256', 'abc']],
    ['a hash of a folder', 'source.invalid {"reason":"sha256_of_folder"}', () => [box.made('a'), '--sha256', '0'.repeat(64)]],
    [
      'a licence for other uses',
      'pack.licence_not_accepted {"id":"a","licence":"CC-BY-NC-4.0"}',
      () => box.made('a', (p) => Object.assign(p.spec, { licence: 'CC-BY-NC-4.0', nonCommercial: true })),
    ],
  ])('%s is refused, and leaves nothing', async (_, code, source) => {
    const given = source();
    const { status, stderr } = await box.models(['add', ...(typeof given === 'string' ? [given] : given)]);
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining(`dipper: ${code}`) });
    expect(box.inPacks()).toEqual([]);
    expect(existsSync(join(box.folder, 'outside'))).toBe(false);
  });

  test('a pack is never changed under its id', async () => {
    await box.install('a');
    const other = box.made('a', (p) => (p.spec.minFacePx = 64));
    expect(await box.models(['add', other])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('pack.already_installed {"id":"a"}'),
    });
    expect(JSON.parse(readFileSync(join(box.packs, 'a', 'pack.json'), 'utf8'))).toMatchObject({ minFacePx: 48 });
  });

  (process.getuid?.() === 0 ? test : test.skip)('another user than the owner of the data is sent away', async () => {
    await box.install('a');
    chownSync(box.dataDir, 65_534, 65_534);
    for (const args of [
      ['add', demoPack],
      ['use', 'a'],
      ['remove', 'a'],
    ])
      expect(await box.models(args)).toMatchObject({ status: 1, stderr: expect.stringContaining('models.wrong_user {"owner":65534}') });
    expect(await box.ids()).toEqual(['a']);
  });

  test('a licence that forbids commercial use is accepted by who says so, and shown', async () => {
    const limited = box.made('a', (p) => Object.assign(p.spec, { nonCommercial: true }));
    expect(await box.models(['add', limited, '--accept-non-commercial'])).toMatchObject({ status: 0 });
    expect((await box.list()).packs).toMatchObject([{ id: 'a', nonCommercial: true }]);
    expect((await box.models(['list'])).stdout).toContain('non-commercial');
  });
});

describe('the catalogue', () => {
  let entry: CatalogueEntry;
  let files: { detector: Buffer; embedder: Buffer };
  beforeEach(() => {
    const at = box.made('listed');
    const spec = JSON.parse(readFileSync(join(at, 'pack.json'), 'utf8')) as CatalogueEntry['spec'];
    files = { detector: readFileSync(join(at, 'detector.onnx')), embedder: readFileSync(join(at, 'embedder.onnx')) };
    const file = (part: keyof typeof files) => ({ url: server.serve(`/${part}`, files[part]), bytes: files[part].length });
    entry = { name: 'tiny', spec, detector: file('detector'), embedder: file('embedder') };
  });
  const add = (more: Partial<AddPack> = {}) =>
    addPack({
      dataDir: box.dataDir,
      source: 'tiny',
      catalogue: [entry],
      progress: progressOn({ write: () => true }),
      check: fromSource,
      ...more,
    });

  test('its files are fetched, held against their hashes, and described by it', async () => {
    server.plan.push(droppedAfter(1000));
    expect(await add()).toMatchObject({ alreadyInstalled: false, spec: { id: 'listed' } });
    expect(server.requests).toEqual(['/detector', '/detector bytes=1000-', '/embedder']);
    expect(await box.ids()).toEqual(['listed']);
    expect(await add()).toMatchObject({ alreadyInstalled: true });
    expect(server.requests).toHaveLength(3);
    expect(await box.models(['verify'])).toMatchObject({ status: 0 });
  });

  test('other bytes of the right length are not installed', async () => {
    server.serve('/embedder', Buffer.alloc(files.embedder.length, 1));
    await expect(add()).rejects.toMatchObject({ code: 'download.hash_mismatch', params: { expected: entry.spec.embedder.sha256 } });
    server.serve('/embedder', Buffer.concat([files.embedder, Buffer.from('more')]));
    await expect(add()).rejects.toMatchObject({ code: 'download.too_large' });
    expect(await box.ids()).toEqual([]);
  });

  test('nothing is fetched for who has not accepted the licence', async () => {
    entry = { ...entry, spec: { ...entry.spec, nonCommercial: true } };
    await expect(add()).rejects.toMatchObject({ code: 'pack.licence_not_accepted' });
    expect(server.requests).toEqual([]);
    expect(await add({ acceptNonCommercial: true })).toMatchObject({ spec: { nonCommercial: true } });
  });
});

test('progress is a bar on a terminal, and lines elsewhere', () => {
  const shown = (isTTY: boolean): string => {
    let text = '';
    const write = (more: string): void => {
      text += more;
    };
    const progress = progressOn({ isTTY, columns: 60, write }, () => 0);
    progress.step('begins');
    for (let mb = 0; mb <= 40; mb++) progress.bytes('a.onnx', mb * 1e6, 40e6);
    progress.end();
    return text;
  };
  expect(shown(true)).toBe(`begins\n\ra.onnx  [${'#'.repeat(24)}] 100% 40.0 MB of 40.0 MB\u001b[K\n`);
  expect(shown(false).split('\n')).toHaveLength(13);
  expect(shown(false)).toContain('a.onnx 20.0 MB of 40.0 MB (50%)\n');
});

import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { PackJsonReader } from './read-pack-json';

/** POSIX ustar, as far as it is read here. */
function entry(path: string, body: Buffer | string, type = '0'): Buffer {
  const content = Buffer.from(body);
  const header = Buffer.alloc(512);
  header.write(path, 0, 'latin1');
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write(type, 156, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
const tar = (...entries: Buffer[]) => gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]));
const packJson = JSON.stringify({ id: 'gate.3', licence: 'MIT', nonCommercial: true, detector: {} });
const found = { packId: 'gate.3', licence: 'MIT', nonCommercial: true };

async function read(archive: Buffer, chunkBytes = 65_536) {
  const reader = new PackJsonReader();
  for (let at = 0; at < archive.length; at += chunkBytes) await reader.take(archive.subarray(at, at + chunkBytes));
  const said = await reader.end();
  reader.drop();
  return said;
}

test.each(['pack.json', './pack.json', 'gate/pack.json', './gate/pack.json'])(
  'finds %s behind other files, however they are cut',
  async (path) => {
    const archive = tar(
      entry('./', '', '5'),
      entry('model.onnx', randomBytes(200_000)),
      entry('LICENSE', 'text'),
      entry(path, packJson),
      entry('late', 'x'),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 500, max: 70_000 }), async (chunkBytes) => {
        expect(await read(archive, chunkBytes)).toEqual(found);
      }),
      { numRuns: 20 },
    );
  },
);

test('takes what has no word on commercial use as free for it', async () => {
  expect(await read(tar(entry('pack.json', JSON.stringify({ id: 'a', licence: 'MIT' }))))).toEqual({
    packId: 'a',
    licence: 'MIT',
    nonCommercial: false,
  });
});

test.each([
  ['noise behind a good beginning', Buffer.concat([Buffer.from([0x1f, 0x8b]), randomBytes(100_000)])],
  ['an archive that is cut off', tar(entry('model.onnx', randomBytes(100_000)), entry('pack.json', packJson)).subarray(0, 50_000)],
  ['no pack.json', tar(entry('model.onnx', randomBytes(100_000)))],
  ['one too deep', tar(entry('a/b/pack.json', packJson))],
  ['one that is a link', tar(entry('pack.json', packJson, '2'))],
  ['one that is no JSON', tar(entry('pack.json', '{'))],
  ['one that says too little', tar(entry('pack.json', '{"id":"x"}'))],
  ['one that is empty', tar(entry('pack.json', ''))],
  ['one that is too large', tar(entry('pack.json', Buffer.alloc(300_000, ' ')))],
  ['nothing at all', tar()],
  ['what is no tar', gzipSync(randomBytes(10_000))],
])('says nothing of %s, and does not fail', async (_, archive) => {
  expect(await read(archive)).toBeNull();
});

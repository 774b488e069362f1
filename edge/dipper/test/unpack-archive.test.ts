import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type ArchiveLimits, unpackArchive, usualLimits } from '../src/models/unpack-archive';
import { type TarEntry, tarOf } from './support/tar-of';

let folder: string;
let inside: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unpack-'));
  inside = join(folder, 'inside');
  mkdirSync(inside);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function unpack(packed: Buffer, limits?: Partial<ArchiveLimits>): Promise<void> {
  writeFileSync(join(folder, 'a.tar.gz'), packed);
  return unpackArchive(join(folder, 'a.tar.gz'), inside, { ...usualLimits, ...limits });
}
const all = (at = inside): string[] => (readdirSync(at, { recursive: true }) as string[]).sort();
const good: TarEntry = { path: 'pack.json', body: '{}' };

test('what tar packs, as a folder or as its files, comes out again', async () => {
  const packed = join(folder, 'packed');
  mkdirSync(join(packed, 'sub', 'deeper'), { recursive: true });
  const model = randomBytes(300_000);
  writeFileSync(join(packed, 'a.onnx'), model);
  writeFileSync(join(packed, 'empty'), '');
  writeFileSync(join(packed, 'sub', 'b.txt'), 'b');
  writeFileSync(join(packed, 'sub', 'deeper', 'c.txt'), 'c');
  for (const what of [
    ['-C', folder, 'packed'],
    ['-C', packed, '.'],
  ]) {
    execFileSync('tar', ['czf', join(folder, 'a.tar.gz'), ...what]);
    await unpackArchive(join(folder, 'a.tar.gz'), inside);
    const top = what.at(-1) === '.' ? inside : join(inside, 'packed');
    expect(readFileSync(join(top, 'a.onnx')).equals(model)).toBe(true);
    expect(readFileSync(join(top, 'empty'))).toHaveLength(0);
    expect(existsSync(join(top, 'sub', 'deeper'))).toBe(false);
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
  }
});

test.each<[string, string, TarEntry]>([
  ['a path upwards', 'path', { path: '../outside', body: 'x' }],
  ['a path upwards in the middle', 'path', { path: 'a/../../outside', body: 'x' }],
  ['a path that comes back', 'path', { path: 'a/../pack.json', body: 'x' }],
  ['an absolute path', 'path', { path: '/tmp/outside', body: 'x' }],
  ['a folder upwards', 'path', { path: '../outside/', type: '5' }],
  ['backslashes', 'path', { path: '..\\outside', body: 'x' }],
  ['a symbolic link', 'link', { path: 'a', type: '2', linkTo: '/etc/passwd' }],
  ['a hard link', 'link', { path: 'a', type: '1', linkTo: '/etc/passwd' }],
  ['a character device', 'special', { path: 'a', type: '3' }],
  ['a block device', 'special', { path: 'a', type: '4' }],
  ['a pipe', 'special', { path: 'a', type: '6' }],
  ['a kind nobody knows', 'special', { path: 'a', type: 'Z' }],
  ['the same name again', 'duplicate', { path: './pack.json', body: 'other' }],
  ['a file where a folder is', 'duplicate', { path: 'folder', body: 'x' }],
  ['a file larger than any model', 'too_large', { path: 'big.onnx', size: usualLimits.fileBytes + 1 }],
])('%s: refused, and nothing is written outside', async (_, reason, entry) => {
  const archive = gzipSync(tarOf([good, { path: 'folder/x', body: 'x' }, entry, { path: 'after', body: 'x' }]));
  await expect(unpack(archive)).rejects.toMatchObject({ code: 'pack.archive_invalid', params: { reason } });
  expect(readdirSync(folder).sort()).toEqual(['a.tar.gz', 'inside']);
  expect(all()).not.toContain('after');
});

test('cut off anywhere it is refused', async () => {
  const tar = tarOf([good, { path: 'model.onnx', body: randomBytes(20_000) }]);
  const packed = gzipSync(tar);
  for (let cut = 2; cut < packed.length; cut += 997) {
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
    await expect(unpack(packed.subarray(0, cut))).rejects.toMatchObject({ params: { reason: 'truncated' } });
  }
  // Cut off before it was packed: in a header, in a file, between two.
  for (const cut of [100, 700, 1024, 5000, tar.length - 1024]) {
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
    await expect(unpack(gzipSync(tar.subarray(0, cut)))).rejects.toMatchObject({ code: 'pack.archive_invalid' });
  }
});

test('what is no archive is refused', async () => {
  const tar = tarOf([good, { path: 'model.onnx', body: randomBytes(20_000) }]);
  const flipped = gzipSync(tar);
  flipped[flipped.length >> 1]! ^= 0xff;
  const badSum = Buffer.from(tar);
  badSum[0]! ^= 1;
  const cases: [Buffer, string][] = [
    [tar, 'not_gzip'],
    [Buffer.alloc(0), 'not_gzip'],
    [flipped, 'corrupt'],
    [gzipSync(badSum), 'corrupt'],
    [gzipSync(randomBytes(4096)), 'corrupt'],
    [gzipSync(gzipSync(tar)), 'corrupt'],
  ];
  for (const [packed, reason] of cases) {
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
    await expect(unpack(packed)).rejects.toMatchObject({ code: 'pack.archive_invalid', params: { reason } });
  }
});

test('bombs are refused: in one file, in many, behind the end, in names', async () => {
  const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);
  const limits = { fileBytes: 1_000_000, totalBytes: 3_000_000, entries: 50 };
  const cases: [Buffer, string][] = [
    [tarOf([{ path: 'a', body: zeros(1_000_001) }]), 'too_large'],
    [tarOf(['a', 'b', 'c', 'd'].map((path) => ({ path, body: zeros(900_000) }))), 'too_large'],
    [tarOf(Array.from({ length: 60 }, (_, n) => ({ path: `f${n}` }))), 'too_many'],
    [Buffer.concat([tarOf([good]), zeros(2_500_000)]), 'too_large'],
    // A name of two megabytes for the file that follows.
    [tarOf([{ path: '././@LongLink', type: 'L', body: zeros(2_000_000).fill('a') }, good]), 'special'],
  ];
  for (const [tar, reason] of cases) {
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
    await expect(unpack(gzipSync(tar), limits)).rejects.toMatchObject({ code: 'pack.archive_invalid', params: { reason } });
  }
});

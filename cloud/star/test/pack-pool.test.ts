/** Real Mizars and the real `dipper models add`; archives lie in objects on disk. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DiskObjects, openDiskObjects } from '@star/platform';
import { connectMizar } from '@star/search';
import { objectKeys } from '@stardipper/proto';
import { homeOf, type PackArchive, type PackPool } from '../src/pack-pool';
import { aPool, archiveOf, sha256Of, until } from './support/star-with-packs';

let folder: string;
let objects: DiskObjects;
const archives: PackArchive[] = [];
let pool: PackPool | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-pool-'));
  objects = await openDiskObjects({ folder: join(folder, 'objects'), secret: 's'.repeat(32), publicUrl: 'http://star.test' });
  for (const id of ['one.1', 'two.1', 'three.1']) {
    const bytes = await archiveOf(folder, { id, threshold: 0.5, minFacePx: 48 });
    const archive = { tenantId: randomUUID(), packageId: randomUUID(), sha256: sha256Of(bytes) };
    await objects.put(archive.tenantId, objectKeys.software(archive.tenantId, archive.packageId), bytes, 'application/gzip');
    archives.push(archive);
  }
});
afterEach(async () => {
  await pool?.stop();
  pool = undefined;
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const packs = () => join(folder, 'packs');
const [one, two, three] = [() => archives[0] as PackArchive, () => archives[1] as PackArchive, () => archives[2] as PackArchive];
const start = (
  options: { maxMizars?: number; maxInstalled?: number; heldMs?: number; turnMs?: number; modelsProgram?: undefined } = {},
) => {
  pool = aPool({ folder: packs(), objects, ...options });
  return pool;
};
const packAt = async (address: string): Promise<string> => {
  const mizar = connectMizar(address);
  const { packId } = await mizar.packNow();
  mizar.close();
  return packId;
};

test('one Mizar for each archive, however many ask, and the one not asked for the longest makes room', async () => {
  const { open, pids } = start({ maxMizars: 2, heldMs: 0 });
  const [first, again] = await Promise.all([open(one()), open(one()), open(two())]);
  expect(first).toEqual(again);
  expect(Object.keys(pids())).toHaveLength(2);
  expect(await packAt(first.address)).toBe('one.1');
  const [ofOne, ofTwo] = archives.map(({ sha256 }) => pids()[`mizar-${sha256.slice(0, 8)}`] as number);
  await open(one());
  expect(await packAt((await open(three())).address)).toBe('three.1');
  expect(Object.values(pids())).toContain(ofOne);
  expect(() => process.kill(ofTwo as number, 0)).toThrow();
  // Back without its archive: it is installed.
  await objects.delete(two().tenantId, objectKeys.software(two().tenantId, two().packageId));
  expect(await packAt((await open(two())).address)).toBe('two.1');
  expect(Object.keys(pids())).toHaveLength(2);
});

test('what was asked for lately is not ended for another', async () => {
  const { open, pids } = start({ maxMizars: 1 });
  await open(one());
  await expect(open(three())).rejects.toMatchObject({ code: 'packs.no_room', retry: true });
  expect(Object.keys(pids())).toEqual([`mizar-${one().sha256.slice(0, 8)}`]);
});

test('packs in constant use take turns with those there is no room for', async () => {
  const { open, pids } = start({ maxMizars: 1, heldMs: 300, turnMs: 0 });
  const opened = new Set<string>();
  const ask = async (archive: PackArchive) => {
    const { address } = await open(archive).catch((error: { code: string }) => {
      expect(error.code).toBe('packs.no_room');
      return { address: '' };
    });
    if (address) opened.add(archive.sha256);
  };
  await ask(one());
  // Each asks more often than it would have to.
  await until('both had their turn', async () => {
    await ask(one());
    await ask(three());
    return opened.size === 2;
  });
  expect(Object.keys(pids())).toHaveLength(1);
});

test('an installed pack whose files have changed is installed again from its archive', async () => {
  await start().open(one());
  await pool?.stop();
  await writeFile(join(packs(), homeOf(one().sha256), 'packs', 'one.1', 'embedder.onnx'), 'something else');
  expect(await packAt((await start().open(one())).address)).toBe('one.1');
  expect(await readFile(join(packs(), homeOf(one().sha256), 'packs', 'one.1', 'embedder.onnx'))).not.toHaveLength('something else'.length);
});

test('only so many packs are kept installed', async () => {
  const { open } = start({ maxInstalled: 1, heldMs: 0, maxMizars: 1 });
  await open(one());
  await open(three());
  await until('the others are gone', async () => (await readdir(packs())).join() === homeOf(three().sha256));
});

test('a refusal leaves nothing behind, and nothing is opened by a name that is no hash', async () => {
  const { open, pids } = start();
  const absent = { ...one(), packageId: randomUUID(), sha256: 'a'.repeat(64) };
  await expect(open(absent)).rejects.toMatchObject({ code: 'pack.archive_missing', retry: false });
  await expect(open({ ...one(), sha256: '../../etc' })).rejects.toMatchObject({ code: 'pack.archive_invalid', retry: false });
  expect([pids(), (await readdir(packs())).includes(homeOf(absent.sha256))]).toEqual([{}, false]);
  await pool?.stop();
  await expect(start({ modelsProgram: undefined }).open(one())).rejects.toMatchObject({ code: 'packs.not_supported', retry: false });
});

/** Software from Star to its boxes: the real hub on PostgreSQL and objects on disk, Dubhe in processes of its own. */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminOf, aWorld, pause, until, type World } from '../../cloud/devices/test/world.ts';
import { buildDubhe, DubheProcess, newDataDir } from '../../edge/dubhe/test/dubhe-process.ts';

const root = join(__dirname, '..', '..');
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const aPack = (bytes: number) => Buffer.concat([Buffer.from([0x1f, 0x8b]), randomBytes(bytes - 2)]);

let world: World;
let star: Awaited<ReturnType<World['devices']>>;
let folder: string;
const boxes: DubheProcess[] = [];
/** Chunks that storage gives before it has others wait. */
let chunksLeft = Number.POSITIVE_INFINITY;

beforeAll(async () => {
  buildDubhe();
  world = await aWorld();
  star = await aStar();
  folder = mkdtempSync(join(tmpdir(), 'star-software-'));
}, 120_000);
afterAll(async () => {
  for (const box of boxes) await box.remove();
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});

const aStar = (port = 0) =>
  world.devices({
    hub: { port },
    objects: {
      ...world.objects,
      getRange: async (...range) => {
        while (chunksLeft <= 0) await pause(5);
        chunksLeft--;
        return world.objects.getRange(...range);
      },
    },
  });
const caller = () => ({ tenantId: world.tenants[0], userId: randomUUID(), username: 'admin', roles: ['tenant-admin'] });
const upload = (bytes: Buffer, version: string) =>
  star.devices.uploadPackage(
    caller(),
    { title: 'pack-a', version },
    (async function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    })(),
    bytes.length,
  );
const softwareOf = async (name: string) => {
  const { items } = await star.devices.readEdgesSoftware(world.tenants[0], {}, { limit: 200 });
  return items.find((item) => item.edgeName === name);
};
const whenUpdated = (name: string, version: string) =>
  until(async () => {
    const software = await softwareOf(name);
    return software?.state === 'UPDATED' && software.current?.version === version;
  }, 60_000);

/** Installs by saying what it was given, unless told of another way. */
async function aBox(name: string, dataDir = newDataDir(), install?: string): Promise<DubheProcess> {
  const key = await star.devices.issueProvisioningKey(adminOf(world.tenants[0]), world.areaId);
  const script = join(folder, `${name}.sh`);
  writeFileSync(script, `echo "$PACK_TITLE $PACK_VERSION $(sha256sum < "$1" | cut -c1-64)" >> ${join(folder, name)}.log\n`);
  const box = new DubheProcess(dataDir, {
    STAR_MQTT_URL: `mqtt://127.0.0.1:${star.port}`,
    PROVISION_KEY: key.key,
    PROVISION_SECRET: key.secret as string,
    DEVICE_NAME: name,
    DUBHE_INSTALL_PACK: install ?? `/bin/sh ${script}`,
  });
  boxes.push(box);
  return box.start();
}
const installed = (name: string) =>
  readFileSync(join(folder, `${name}.log`), 'utf8')
    .trim()
    .split('\n');

test('a package reaches the boxes that are there, those that come later, and those that were away', async () => {
  const [first, second] = [aPack(3_000_000), aPack(2_000_001)];
  const early = await aBox('early');
  const one = await upload(first, '1.10');
  await star.devices.assignSoftware(caller(), one.id);
  await whenUpdated('early', '1.10');
  await aBox('late');
  await whenUpdated('late', '1.10');
  await early.end('SIGKILL');
  const two = await upload(second, '1.11');
  await star.devices.assignSoftware(caller(), two.id);
  await whenUpdated('late', '1.11');
  await early.start();
  await whenUpdated('early', '1.11');
  const lines = [`pack-a 1.10 ${sha256(first)}`, `pack-a 1.11 ${sha256(second)}`];
  expect([installed('early'), installed('late')]).toEqual([lines, lines]);
  expect(await softwareOf('early')).toMatchObject({ assigned: { title: 'pack-a', version: '1.11' }, error: null });
  // The same one again is answered without another download.
  await star.devices.unassignSoftware(caller());
  expect(await softwareOf('early')).toMatchObject({ assigned: null, state: null, current: { version: '1.11' } });
  await world.record('device.software.changed.v1', ({ message }) => message.state === '');
  await star.devices.assignSoftware(caller(), two.id);
  for (const name of ['early', 'late']) await whenUpdated(name, '1.11');
  expect(installed('early')).toHaveLength(2);
  const heard = world.seen
    .filter((record) => record.topic === 'device.software.changed.v1')
    .map((record) => record.message as { state: string });
  expect(new Set(heard.map((message) => message.state))).toEqual(
    new Set(['INITIATED', 'DOWNLOADING', 'DOWNLOADED', 'VERIFIED', 'UPDATING', 'UPDATED', '']),
  );
});

test('a hub and a box killed in the middle of a download cost no more than what was not kept', async () => {
  const bytes = aPack(20_000_000);
  // Not assigned while the boxes of the other test are there: they would take of what is given.
  for (const other of boxes.splice(0)) await other.remove();
  const box = await aBox('shaken');
  await whenUpdated('shaken', '1.11');
  const made = await upload(bytes, '2');
  chunksLeft = 150;
  await star.devices.assignSoftware(caller(), made.id);
  const { port } = star;
  await until(() => chunksLeft <= 0);
  await star.devices.abandon();
  chunksLeft = 200;
  star = await aStar(port);
  await until(() => chunksLeft <= 0);
  await box.end('SIGKILL');
  chunksLeft = Number.POSITIVE_INFINITY;
  await box.start();
  await whenUpdated('shaken', '2');
  // All of it is 611 chunks; 350 had been given, of which a few were on their way and at most 32 not kept.
  expect((await box.stats()).software_chunks).toBeLessThan(611 - 300);
  expect(installed('shaken').at(-1)).toBe(`pack-a 2 ${sha256(bytes)}`);
});

test('a model pack is the one in use by the box, installed by `dipper models add --use`', async () => {
  for (const other of boxes.splice(0)) await other.remove();
  execFileSync(process.execPath, [createRequire(__filename).resolve('typescript/bin/tsc'), '-b', join(root, 'edge', 'dipper')]);
  const archive = join(folder, 'demo.tar.gz');
  execFileSync('tar', ['-C', join(root, 'edge', 'mizar', 'packs'), '-czf', archive, 'demo']);
  const made = await upload(readFileSync(archive), 'demo');
  await star.devices.assignSoftware(caller(), made.id);
  const dataDir = newDataDir();
  const dipper = join(root, 'edge', 'dipper', 'dist', 'main.js');
  await aBox('packed', dataDir, JSON.stringify([process.execPath, dipper, 'models', 'add', '--use', '--data', dataDir]));
  await whenUpdated('packed', 'demo');
  const { id } = JSON.parse(readFileSync(join(root, 'edge', 'mizar', 'packs', 'demo', 'pack.json'), 'utf8')) as { id: string };
  expect(readdirSync(join(dataDir, 'packs'))).toContain(id);
  expect(JSON.parse(readFileSync(join(dataDir, 'packs', 'in-use.json'), 'utf8'))).toMatchObject({ id });
});

/** SIGKILL while packs are added, chosen and removed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FaultyServer, silentAfter } from './support/faulty-server';
import { buildDipper, demoPack, eventually, TestBox } from './support/models-command';

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

/** Until the moment, or until there is nothing left to wait for. */
type Moment = (gone: () => boolean) => Promise<unknown>;

/** Runs the command and kills it at the moment; answers whether it was still there to be killed. */
async function killed(args: readonly string[], moment: Moment): Promise<boolean> {
  const child = box.start(['models', ...args]);
  let ended = false;
  const closed = new Promise<boolean>((resolve) => {
    child.once('close', (_, signal) => {
      ended = true;
      resolve(signal === 'SIGKILL');
    });
  });
  await moment(() => ended);
  child.kill('SIGKILL');
  return closed;
}

const after =
  (ms: number): Moment =>
  () =>
    new Promise((resolve) => setTimeout(resolve, ms));
const seen =
  (pattern: RegExp): Moment =>
  (gone) =>
    eventually('it gets there', () => gone() || box.inPacks().some((name) => pattern.test(name)));

/** Whatever is listed is whole, and nothing else has a name. */
async function allIsWhole(...possible: string[]): Promise<void> {
  const listed = await box.ids();
  expect(possible).toEqual(expect.arrayContaining(listed));
  expect(box.inPacks().filter((name) => !name.startsWith('.') && name !== 'in-use.json')).toEqual(listed);
  if (listed.length > 0) expect(await box.models(['verify'])).toMatchObject({ status: 0 });
}

test('in a download: nothing is listed, and the next one goes on from there', async () => {
  const url = server.serve('/demo.tar.gz', readFileSync(box.archived(demoPack)));
  server.plan.push(silentAfter(600_000));
  const downloads = join(box.packs, '.downloads');
  const arrived = (): boolean =>
    existsSync(downloads) && readdirSync(downloads).some((name) => statSync(join(downloads, name)).size >= 600_000);
  expect(await killed(['add', url], () => eventually('bytes arrive', arrived))).toBe(true);
  await allIsWhole();
  expect(await box.models(['add', url])).toMatchObject({ status: 0 });
  expect(server.requests).toEqual(['/demo.tar.gz', '/demo.tar.gz bytes=600000-']);
  await allIsWhole('demo.2');
  expect(await box.ids()).toEqual(['demo.2']);
});

test('while a pack is added: it is there whole or not at all', async () => {
  const packed = box.archived(demoPack);
  const moments: [string, Moment][] = [
    [packed, seen(/^\.unpacked-/)],
    [demoPack, seen(/^\.adding-/)],
    [packed, seen(/^demo/)],
    ...[300, 600, 900].map((ms): [string, Moment] => [packed, after(ms)]),
  ];
  for (const [source, moment] of moments) {
    await killed(['add', source], moment);
    await allIsWhole('demo.2');
    rmSync(join(box.packs, 'demo.2'), { recursive: true, force: true });
  }
  expect(await box.models(['add', packed])).toMatchObject({ status: 0 });
  expect(box.inPacks()).toEqual(['demo.2']);
});

test('while packs are chosen and removed: one that is whole is in use', async () => {
  await box.install('a', 'b');
  await box.models(['use', 'a']);
  for (const [n, ms] of [300, 600, 900, 1200].entries()) {
    await killed(['use', n % 2 === 0 ? 'b' : 'a', '--no-wait'], after(ms));
    expect(['a', 'b']).toContain((await box.list()).inUse);
  }
  await allIsWhole('a', 'b');
  await box.models(['use', 'a']);
  for (const moment of [seen(/^\.removing-/), after(300)]) {
    await killed(['remove', 'b', '--force'], moment);
    await allIsWhole('a', 'b');
    if (!(await box.ids()).includes('b')) await box.install('b');
  }
  mkdirSync(join(box.packs, '.adding-left'));
  await box.install('c');
  expect(box.inPacks()).toEqual(['a', 'b', 'c', 'in-use.json']);
});

test('two at once: one adds, the other is told', async () => {
  server.plan.push(silentAfter(100));
  const url = server.serve('/demo.tar.gz', Buffer.alloc(1000));
  await killed(['add', url], async () => {
    await eventually('the first is at it', () => server.requests.length > 0);
    expect(await box.models(['add', box.made('a')])).toMatchObject({ status: 1, stderr: expect.stringContaining('models.busy') });
  });
});

/** Star gets another model pack, for everybody or for a tenant: a real Star with its Mizars, killed in the middle, and what people see of it in a browser. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { copyOfDemoPack, drawnPhoto } from '../../cloud/search/test/support/packs.ts';
import { buildDubhe, DubheProcess, newDataDir } from '../../edge/dubhe/test/dubhe-process.ts';
import { ApiClient } from '../world/api-client.ts';
import { type KeptProcess, keepRunning } from '../world/kept-process.ts';
import { untilDefined } from '../world/until-defined.ts';
import { type StarReady } from '../world/world.ts';

const { resolve } = createRequire(__filename);
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Pictures of every step go there, for whoever wants to look. */
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = existsSync(chromiumPath) ? test : test.skip;
const password = 'drawn-people-only';
/** Enough that some are left when the new pack has been noticed. */
const others = 20;

let folder: string;
const boxes: DubheProcess[] = [];
let star: KeptProcess<StarReady> | undefined;
let browser: Browser | undefined;

beforeAll(() => {
  buildDubhe();
  folder = mkdtempSync(join(tmpdir(), 'star-packs-'));
});
afterAll(async () => {
  await browser?.close();
  for (const box of boxes) await box.remove();
  await star?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startStar(pack: string, shape: 'all' | 'services' = 'all'): Promise<KeptProcess<StarReady>> {
  await star?.stop();
  data = dataOf(shape);
  star = await keepRunning<StarReady>({
    name: 'star',
    script: resolve('@star/star/dist/main.js'),
    logFile: join(folder, 'star.log'),
    env: {
      STAR_DATA: data,
      STAR_SHAPE: shape,
      STAR_HTTP_PORT: '0',
      STAR_MQTT_PORT: '0',
      STAR_MIZAR_PROGRAM: resolve('@dipper/mizar/dist/main.js'),
      STAR_PACK: pack,
      STAR_MODELS_PROGRAM: resolve('@dipper/dipper/dist/main.js'),
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_PASSWORD: password,
    },
  });
  return star;
}

/** Each shape in these tests is an installation of its own. */
const dataOf = (shape: string): string => join(folder, `star-${shape}`);
let data: string;
const pid = (name: string): number => JSON.parse(readFileSync(join(data, 'pids.json'), 'utf8'))[name];

async function openConsole(path: string): Promise<{ page: Page; complaints: string[] }> {
  browser ??= await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'Asia/Shanghai' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`${star?.ready().url}/#${path}`);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  return { page, complaints };
}

/** Nothing may stick out of the page, wide or narrow. */
async function look(page: Page, name: string): Promise<void> {
  for (const width of [900, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    expect([name, width, await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')]).toEqual([
      name,
      width,
      0,
    ]);
    if (!pictures) continue;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `packs-${name}-${width}.png`) });
  }
}

withBrowser('the console shows how far the photos have come, and why some are not used any more', async () => {
  const old = await copyOfDemoPack(folder, { id: 'old.1', threshold: 0.625, minFacePx: 48 });
  const next = await copyOfDemoPack(folder, { id: 'next.2', threshold: 0.75, minFacePx: 120 });
  let api = new ApiClient((await startStar(old)).ready().url);
  await api.logIn('admin', password);
  for (let i = 0; i < others; i++) {
    const { id } = await api.createPerson(`Resident ${i + 1}`);
    await api.addPhoto(id, await drawnPhoto(i), 'image/jpeg');
  }
  const anna = await api.createPerson('Anna');
  for (const facePx of [160, 90]) await api.addPhoto(anna.id, await drawnPhoto(90, facePx), 'image/jpeg');
  const bruno = await api.createPerson('Bruno');
  await api.addPhoto(bruno.id, await drawnPhoto(91, 90), 'image/jpeg');

  const { ready } = await startStar(next);
  api = new ApiClient(ready().url);
  await api.logIn('admin', password);
  await untilDefined(60_000, 'the new pack to be noticed', async () =>
    (await api.packInUse()).pack?.packId === 'next.2' ? true : undefined,
  );
  // Stands still, so that what is half done can be looked at.
  process.kill(pid('mizar'), 'SIGSTOP');
  const { page, complaints } = await openConsole('/people');

  // Killed in the middle; a new process goes on.
  const progress = page.locator('.pack [role=status]');
  await progress.getByText('Photos are being prepared for the model pack next.2', { exact: false }).waitFor();
  await look(page, 'running');
  process.kill(pid('app'), 'SIGKILL');
  process.kill(pid('mizar'), 'SIGCONT');
  const people = await untilDefined(120_000, 'all photos to be done', async () => {
    const all = await api.people();
    return all.flatMap((person) => person.photos).every((photo) => photo.state !== 'waiting') ? all : undefined;
  });
  const photos = people.flatMap((person) => person.photos);
  expect(photos.filter((photo) => photo.state === 'embedded')).toHaveLength(others + 1);
  expect(photos.filter((photo) => photo.state === 'refused')).toHaveLength(2);

  await progress.waitFor({ state: 'detached' });
  await page.getByText('2 photos are not used, because the model pack next.2 refuses them: face too small (2)').waitFor();
  await page.getByRole('button', { name: 'Show only these people' }).click();
  const card = (name: string) => page.locator('.person', { hasText: name });
  await card('Anna').getByText('Photo 2: The face is too small; at least 120 pixels are needed.').waitFor();
  await card('Bruno').getByText('Cannot be searched for: this photo is not used.').waitFor();
  expect(await page.locator('.person').count()).toBe(2);
  await look(page, 'refused');
  await page.getByRole('button', { name: '中文' }).click();
  await card('Anna').getByText('第 2 张：人脸太小，至少需要 120 像素。').waitFor();
  await page.getByText('模型包 next.2 不接受 2 张照片，这些照片不会用于检索： 人脸太小（2）').waitFor();
  await look(page, 'refused-zh');
  expect(complaints).toEqual([]);
});

withBrowser(
  'a pack is uploaded and assigned in the console, and every service is a process of its own',
  async () => {
    const own = await copyOfDemoPack(folder, { id: 'own.1', threshold: 0.625, minFacePx: 48 });
    const archive = (name: string): string => {
      const path = join(folder, `${name}.tar.gz`);
      execFileSync('tar', ['-czf', path, '-C', join(folder, name), '.']);
      return path;
    };
    await copyOfDemoPack(folder, { id: 'assigned.1', threshold: 0.75, minFacePx: 48 });
    await copyOfDemoPack(folder, { id: 'broken.1', threshold: 0.75, minFacePx: 48 });
    writeFileSync(join(folder, 'broken.1', 'detector.onnx'), 'no model');
    const { ready } = await startStar(own, 'services');
    const api = new ApiClient(ready().url);
    await api.logIn('admin', password);
    for (let i = 0; i < others; i++) {
      const { id } = await api.createPerson(`Resident ${i + 1}`);
      await api.addPhoto(id, await drawnPhoto(i), 'image/jpeg');
    }
    for (const [name, install] of [
      ['East court', '/bin/true'],
      ['West court', '/bin/false'],
    ] as const) {
      const area = await api.createArea('community', name);
      const key = await api.createProvisioningKey(area.id);
      const box = new DubheProcess(newDataDir(), {
        STAR_MQTT_URL: `mqtt://127.0.0.1:${ready().mqttPort}`,
        PROVISION_KEY: key.key,
        PROVISION_SECRET: key.secret as string,
        DEVICE_NAME: name,
        DUBHE_INSTALL_PACK: install,
      });
      boxes.push(box);
      await box.start();
    }
    const { page, complaints } = await openConsole('/software');
    await page.getByText('No package yet.', { exact: false }).waitFor();
    await look(page, 'software-empty');

    const upload = async (name: string) => {
      await page.getByRole('button', { name: 'Upload a package' }).click();
      const dialog = page.getByRole('dialog', { name: 'Upload a package' });
      await dialog.locator('input[type=file]').setInputFiles(archive(name));
      await look(page, 'software-upload');
      await dialog.getByRole('button', { name: 'Upload', exact: true }).click();
      await dialog.waitFor({ state: 'hidden' });
    };
    const row = (name: string) => page.locator('tr', { hasText: name });
    const press = async (name: string, button: string) => {
      await row(name).getByRole('button', { name: button, exact: true }).click();
      await page.getByRole('button', { name: 'Yes' }).click();
    };
    await upload('assigned.1');
    await row('assigned.1').getByText('Apache-2.0').waitFor();
    await press('assigned.1', 'Assign');
    const card = page.locator('.in-use');
    await card.getByText('assigned.1', { exact: true }).waitFor();
    const pooled = await untilDefined(60_000, 'its Mizar', async () => {
      const pids = JSON.parse(readFileSync(join(data, 'pids.json'), 'utf8')) as Record<string, number>;
      return Object.entries(pids).find(([name]) => /^mizar-/.test(name))?.[1];
    });
    await row('East court').getByText('up to date').waitFor();
    await row('East court').getByText('assigned.1 1').waitFor();
    await row('West court').getByText('it could not be installed; the log of the box says why').waitFor();
    await look(page, 'software-assigned');
    process.kill(pooled, 'SIGKILL');
    process.kill(pid('search'), 'SIGKILL');
    const all = await untilDefined(120_000, 'all photos to be done', async () => {
      const now = await api.packInUse().catch(() => undefined);
      return now?.photos.waiting === 0 ? now : undefined;
    });
    expect(all).toMatchObject({ pack: { packId: 'assigned.1', by: 'assigned' }, photos: { embedded: others, refused: 0 } });
    await card.getByText(`${others} of ${others} photos are ready for it`, { exact: false }).waitFor();

    // What is broken is said, and what was there before stays.
    await upload('broken.1');
    await press('broken.1', 'Assign');
    await card.getByText('broken.1 1 cannot be used').waitFor();
    await card.getByText('A model in it is not the one that is described: detector.sha256. The one above stays in use.').waitFor();
    expect(await api.packInUse()).toMatchObject({
      pack: { packId: 'assigned.1' },
      assignment: { state: 'failed' },
      photos: { waiting: 0 },
    });
    await page.getByRole('button', { name: '中文' }).click();
    await card.getByText('无法使用 broken.1 1').waitFor();
    await look(page, 'software-failed-zh');
    await page.getByRole('button', { name: 'English' }).click();
    await press('broken.1', 'Take back');
    await card.getByText('own.1', { exact: true }).waitFor();
    expect(complaints).toEqual([]);

    // Killed altogether, it goes on with what was assigned, and needs no archive for that.
    await press('assigned.1', 'Assign');
    await card.getByText('assigned.1', { exact: true }).waitFor();
    const before = pid('star');
    process.kill(before, 'SIGKILL');
    await untilDefined(120_000, 'Star to be there again', async () => (pid('star') !== before && pid('gateway') ? true : undefined));
    const again = await untilDefined(120_000, 'somebody to be enrolled', async () => {
      const client = new ApiClient(ready().url);
      await client.logIn('admin', password);
      const { id } = await client.createPerson('Late');
      await client.addPhoto(id, await drawnPhoto(95), 'image/jpeg');
      return client;
    });
    expect(await again.packInUse()).toMatchObject({
      pack: { packId: 'assigned.1', by: 'assigned' },
      photos: { embedded: others + 1, waiting: 0, refused: 0 },
    });
  },
  600_000,
);

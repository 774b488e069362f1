/** Star gets another model pack: a real Star with its own Mizar, killed in the middle, and what an operator sees of it in a browser. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { copyOfDemoPack, drawnPhoto } from '../../cloud/search/test/support/packs.ts';
import { ApiClient } from '../world/api-client.ts';
import { type KeptProcess, keepRunning } from '../world/kept-process.ts';
import { type StarReady, untilDefined } from '../world/world.ts';

const { resolve } = createRequire(__filename);
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Pictures of every step go there, for whoever wants to look. */
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = existsSync(chromiumPath) ? test : test.skip;
const password = 'drawn-people-only';
/** Enough that some are left when the new pack has been noticed. */
const others = 20;

let folder: string;
let star: KeptProcess<StarReady> | undefined;
let browser: Browser | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'star-packs-'));
});
afterAll(async () => {
  await browser?.close();
  await star?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startStar(pack: string): Promise<KeptProcess<StarReady>> {
  await star?.stop();
  star = await keepRunning<StarReady>({
    name: 'star',
    script: resolve('@star/star/dist/main.js'),
    logFile: join(folder, 'star.log'),
    env: {
      STAR_DATA: join(folder, 'star'),
      STAR_HTTP_PORT: '0',
      STAR_MQTT_PORT: '0',
      STAR_MIZAR_PROGRAM: resolve('@dipper/mizar/dist/main.js'),
      STAR_PACK: pack,
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_PASSWORD: password,
    },
  });
  return star;
}

async function look(page: Page, name: string): Promise<void> {
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')).toBe(0);
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `packs-${name}.png`) });
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
  const pid = (name: string): number => JSON.parse(readFileSync(join(folder, 'star', 'pids.json'), 'utf8'))[name];
  // Stands still, so that what is half done can be looked at.
  process.kill(pid('mizar'), 'SIGSTOP');
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'Asia/Shanghai' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`${ready().url}/#/people`);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');

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

/** The first hour of an installation in a real browser: the provider opens a tenant, whose administrator connects a box and searches. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Cast, drawnCast } from '../footage/cast.ts';
import { renderFootage } from '../footage/render.ts';
import { type FootagePlan, planFootage, promisedFacePx } from '../footage/schedule.ts';
import { type KeptProcess, keepRunning } from '../world/kept-process.ts';
import { packAndPeople } from '../world/pack-and-people.ts';

const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = existsSync(chromiumPath) ? test : test.skip;
const providersPassword = 'first secret 1';
const recordersPassword = 'of the recorder';
const { models } = packAndPeople({});
/** Long enough ago that every file is closed. */
const startAt = Math.floor((Date.now() - 30 * 60_000) / 60_000) * 60_000;

interface Recorders {
  readonly recorders: readonly [{ readonly url: string }];
}

let folder: string;
let star: KeptProcess<{ url: string }> | undefined;
let recorder: KeptProcess<Recorders> | undefined;
let box: ChildProcess | undefined;
let browser: Browser | undefined;
let page: Page;
let cast: Cast;
let plan: FootagePlan;
/** Of the tenant's administrator. */
let ownersPassword: string;
const complaints: string[] = [];
const url = () => (star as KeptProcess<{ url: string }>).ready().url;

/** One camera is enough, and somebody who is seen by it once: hardly anything has to be rendered. */
async function startRecorder(): Promise<KeptProcess<Recorders>> {
  cast = drawnCast();
  const whole = planFootage(cast.files);
  const cameras = whole.cameras.slice(0, 1);
  const seen = whole.appearances.find(
    (each) => each.camera === cameras[0]?.key && each.facePx >= promisedFacePx && whole.enrolled[each.person],
  );
  plan = { ...whole, cameras, appearances: seen ? [seen] : [] };
  const { east = '' } = await renderFootage({ plan, cast, folder: join(folder, 'footage'), startAt, onProgress: () => undefined });
  const config = join(east, 'recorder.json');
  writeFileSync(config, JSON.stringify({ footageDir: east, port: 0, username: 'dipper', password: recordersPassword }));
  return keepRunning({
    name: 'recorder',
    script: require.resolve('@dipper/camsim/dist/main.js'),
    logFile: join(folder, 'recorder.log'),
    env: { CAMSIM_CONFIG: config },
  });
}

beforeAll(async () => {
  if (!existsSync(chromiumPath)) return;
  folder = mkdtempSync(join(tmpdir(), 'star-start-'));
  recorder = await startRecorder();
  star = await keepRunning({
    name: 'star',
    script: require.resolve('@star/star/dist/main.js'),
    logFile: join(folder, 'star.log'),
    env: {
      STAR_DATA: join(folder, 'star'),
      STAR_HTTP_PORT: '0',
      STAR_MQTT_PORT: '0',
      STAR_MIZAR_PROGRAM: require.resolve('@dipper/mizar/dist/main.js'),
      STAR_PACK: models,
      STAR_PLATFORM_PASSWORD: providersPassword,
    },
  });
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
});
afterAll(async () => {
  await browser?.close();
  if (box?.pid && box.exitCode === null) {
    process.kill(-box.pid, 'SIGTERM');
    await once(box, 'exit');
  }
  await star?.stop();
  await recorder?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function look(name: string): Promise<void> {
  for (const width of [768, 1024, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    // A menu that is just closing still stands where the wider window had it.
    await page.waitForFunction('document.documentElement.scrollWidth <= window.innerWidth');
    if (!pictures) continue;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `start-${name}-${width}.png`), fullPage: true });
  }
}

async function logIn(username: string, password: string, led = 'Getting started'): Promise<void> {
  page = await (await (browser as Browser).newContext({ locale: 'en-GB', timezoneId: 'Asia/Shanghai' })).newPage();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  await page.goto(url());
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: led }).waitFor();
}

const step = (title: string, state = '') => page.locator(`.step${state}`, { hasText: title });
const onStart = () => page.getByRole('navigation').getByRole('link', { name: 'Getting started' });

withBrowser('the provider finds no tenant, opens the first, and is told once what its administrator needs', async () => {
  await logIn('platform', providersPassword);
  await step('Open the first tenant', '.open').waitFor();
  expect(await page.locator('.step').count()).toBe(1);
  await look('provider');
  await page.getByRole('button', { name: 'Open a tenant' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill('Riverside');
  await dialog.getByLabel('Administrator’s name').fill('Wang Li');
  await dialog.getByLabel('Administrator’s user name').fill('wang');
  await look('open-a-tenant');
  await dialog.getByRole('button', { name: 'Open a tenant' }).click();
  await page.locator('.told code').waitFor();
  await page.getByRole('dialog').getByText('in use').waitFor();
  await page.keyboard.press('Escape');
  await look('told');
  ownersPassword = await page.locator('.told code').innerText();
  await page.goto(`${url()}/#/start`);
  await step('Open the first tenant', '.done').waitFor();
  await page.context().close();
  await logIn('wang', ownersPassword);
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('its administrator connects a box by the command that is shown, and sees it register', async () => {
  expect(await page.locator('.step.open').count()).toBe(4);
  expect(await page.getByRole('button', { name: 'Add a recorder' }).isDisabled()).toBe(true);
  await look('administrator');
  await page.getByRole('button', { name: 'Connect a box' }).click();
  await page.getByRole('dialog').getByRole('textbox').click();
  await page.locator('.el-select-dropdown__item:visible', { hasText: 'Riverside' }).click();
  await page.getByRole('button', { name: 'Make a key' }).click();
  const command = await page.locator('#box-command').inputValue();
  await page.locator('.qr svg').waitFor();
  await look('command');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
  await page.getByText('A key was made; no box has registered with it yet.').waitFor();
  await look('key-made');
  // As on a box where Dipper is installed; the pack would be there by `dipper models add`.
  symlinkSync(join(__dirname, '..', '..', 'node_modules'), join(folder, 'node_modules'));
  box = spawn('sh', ['-c', command], { cwd: folder, detached: true, stdio: 'ignore', env: { ...process.env, MIZAR_PACK: models } });
  await step('Connect a box', '.done').waitFor({ timeout: 120_000 });
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('adds its recorder, enrols somebody, and searches', async () => {
  await page.getByRole('button', { name: 'Add a recorder' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill('North gate');
  await dialog.getByLabel('Address').fill((recorder as KeptProcess<Recorders>).ready().recorders[0].url);
  await dialog.getByLabel('User name').fill('dipper');
  await dialog.getByLabel('Password').fill('not this one');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The box gets no cameras from its recorder.', { exact: false }).waitFor();
  await step('Add a recorder').getByRole('link').click();
  await page.getByText('recorder refuses the password').waitFor();
  await page.getByRole('button', { name: 'Change North gate' }).click();
  await dialog.getByLabel('Password').fill(recordersPassword);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.locator('.camera').first().waitFor();
  await onStart().click();
  await step('Add a recorder', '.done').waitFor({ timeout: 120_000 });
  await look('recorder');
  await page.getByRole('button', { name: 'Add a person' }).click();
  const photo = join(folder, 'photo.png');
  writeFileSync(photo, await cast.photo(plan.enrolled[plan.appearances[0]?.person as string] as string));
  await dialog.getByLabel('Name').fill('Anna');
  await page.locator('#person-photos').setInputFiles(photo);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.locator('.person .photo img').waitFor();
  // Told beside the menu without going anywhere.
  await onStart().getByText('3/4').waitFor();
  await onStart().click();
  await step('Enrol a person', '.done').waitFor();
  await page.getByRole('button', { name: 'New search' }).click();
  await page.locator('.choices label', { hasText: 'Anna' }).click();
  await page.getByText('Riverside', { exact: true }).last().click();
  await page.getByText('1 camera chosen of 1').waitFor();
  await page.getByPlaceholder('From').click();
  await page.getByText('Last hour').click();
  await page.getByLabel('Purpose').fill('A lost child');
  await page.getByRole('button', { name: 'Show the estimate' }).click();
  await page.getByRole('button', { name: 'Start search' }).click();
  await page.locator('h1', { hasText: 'finished' }).waitFor({ timeout: 170_000 });
  await page.locator('.match', { hasText: 'Anna' }).first().waitFor();
  await page.goto(`${url()}/#/start`);
  await page.getByText('All of it is done.').waitFor();
  expect(await onStart().count()).toBe(0);
  await look('complete');
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('what is left to do leads there after each log-in, until it is sent away', async () => {
  const areas = await ask<{ items: { id: string }[] }>('GET', '/edges');
  await ask('DELETE', `/edges/${areas.items[0]?.id}`);
  await page.goto(`${url()}/#/`);
  await page.getByRole('heading', { name: 'Getting started' }).waitFor();
  await step('Add a recorder', '.open').waitFor();
  await page.getByRole('button', { name: 'Do not lead me here' }).click();
  await page.goto(`${url()}/#/`);
  await page.getByRole('heading', { name: 'Searches' }).waitFor();
  expect(await onStart().count()).toBe(0);
  await page.getByRole('button', { name: '中文' }).click();
  await page.locator('.el-dropdown').click();
  await page.getByText('开始使用').last().click();
  await page.getByText('恢复自动打开').click();
  await look('zh');
  expect(await page.locator('body').innerText()).not.toMatch(/\b(start|menu|common)\.[a-z]/);
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('what the provider switches off is off in the console, which says why', async () => {
  await page.context().close();
  await logIn('platform', providersPassword, 'Users');
  await page.goto(`${url()}/#/tenants`);
  await page.getByRole('link', { name: 'Riverside' }).click();
  await page.getByRole('dialog').getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('heading', { name: 'Settings · Riverside' }).waitFor();
  await page.getByRole('switch', { name: 'Search for people' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await page.context().close();
  await logIn('wang', ownersPassword);
  await page.locator('.step').nth(2).waitFor();
  expect(await page.locator('.step').count()).toBe(3);
  await page.goto(`${url()}/#/searches/new`);
  await page.getByText('Switched off for your organisation: Search for people.', { exact: false }).waitFor();
  expect(await page.getByRole('button', { name: 'New search' }).isDisabled()).toBe(true);
  expect(complaints.splice(0)).toEqual([]);
});

const ask = <T>(method: string, path: string): Promise<T> =>
  page.evaluate<T>(
    `fetch('/api/v1${path}', { method: '${method}', headers: { authorization: 'Bearer ' + JSON.parse(sessionStorage.getItem('star.session')).access } }).then(async (answer) => JSON.parse((await answer.text()) || 'null'))`,
  );

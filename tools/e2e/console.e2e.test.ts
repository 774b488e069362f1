/** The console in a real browser, as an operator uses it: log in, enrol, ask, watch, read the answer, log out. */

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startWorld, type World } from '../world/world.ts';

const models = process.env.STAR_MODELS ?? '';
const portraits = process.env.STAR_PORTRAITS ?? '';
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Pictures of every step go there, for whoever wants to look. */
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = models && portraits && existsSync(chromiumPath) ? test : test.skip;

let folder: string;
let world: World | undefined;
let browser: Browser | undefined;
let page: Page;
/** What the browser complained about. */
const complaints: string[] = [];

const minuteMs = 60_000;
let shots = 0;

async function look(name: string): Promise<void> {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  shots += 1;
  await page.screenshot({ path: join(pictures, `${String(shots).padStart(2, '0')}-${name}.png`), fullPage: true });
}

beforeAll(async () => {
  if (!models || !portraits || !existsSync(chromiumPath)) return;
  folder = mkdtempSync(join(tmpdir(), 'star-console-'));
  world = await startWorld({ folder, models, portraits, say: (line) => process.stderr.write(`${line}\n`) });
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  // Not the zone of the machine: times must be the reader's.
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'Asia/Shanghai' });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
});
afterAll(async () => {
  await browser?.close();
  await world?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const on = (): World => world as World;

async function logIn(password: string): Promise<void> {
  await page.getByPlaceholder('User name').fill(on().login.username);
  await page.getByPlaceholder('Password').fill(password);
  await page.keyboard.press('Enter');
}

/** As the date picker shows a time to a reader in China. */
function shown(ms: number): string {
  return new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'Asia/Shanghai' }).format(ms);
}

withBrowser('logging in: a wrong password is refused in words, the right one leads to the searches', async () => {
  await page.goto(on().url);
  await page.getByPlaceholder('User name').waitFor();
  await look('log-in');
  await logIn('wrong');
  await page.getByText('User name or password is wrong.').waitFor();
  await look('wrong-password');
  await logIn(on().login.password);
  await page.getByText('No search yet.', { exact: false }).waitFor();
  await look('no-search');
  // The refusal is what the browser logged, and nothing else.
  expect(complaints.splice(0)).toEqual([expect.stringContaining('401')]);
});

withBrowser('people: one is added with a photo, and a photo without a face is refused in words', async () => {
  await page.getByRole('menuitem', { name: 'People' }).click();
  await page.getByText('Nobody is enrolled yet.', { exact: false }).waitFor();
  await look('nobody');
  for (const name of on().plan.groups[0] as string[]) {
    await page.getByRole('button', { name: 'Add a person' }).click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Photos').setInputFiles(join(portraits, on().plan.enrolled[name] as string));
    await look('add-a-person');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(name, { exact: true }).waitFor();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  }
  const empty = join(folder, 'wall.png');
  writeFileSync(empty, await page.screenshot({ clip: { x: 0, y: 600, width: 300, height: 300 } }));
  await page.locator('input[type=file]').first().setInputFiles(empty);
  await page.getByText('wall.png: No face was found in this photo.').waitFor();
  await look('people');
  expect(await page.locator('.person-head').count()).toBe((on().plan.groups[0] as string[]).length);
  expect(complaints.splice(0)).toEqual([expect.stringContaining('422')]);
});

withBrowser('a search: estimate, progress, matches with their pictures, coverage to the last second', async () => {
  const from = on().range.from + minuteMs;
  const to = from + 4 * minuteMs;
  await page.getByRole('menuitem', { name: 'Searches' }).click();
  await page.getByRole('button', { name: 'New search' }).click();
  const group = on().plan.groups[0] as string[];
  for (const name of group) await page.locator('.choices label', { hasText: name }).click();
  for (const community of ['East court', 'West court']) {
    await page.locator('.el-tree-node__content', { hasText: community }).locator('.el-checkbox').click();
  }
  await page.getByPlaceholder('From').fill(shown(from));
  await page.getByPlaceholder('To', { exact: true }).fill(shown(to));
  await page.keyboard.press('Enter');
  await page.getByLabel('Purpose').fill('A lost child');
  await look('search-form');
  await page.getByRole('button', { name: 'Show the estimate' }).click();
  await page.getByText('camera-hours').waitFor();
  expect(await page.locator('.figures').innerText()).toContain(((on().cameras.length * 4) / 60).toFixed(2));
  await look('estimate');
  await page.getByRole('button', { name: 'Start search' }).click();
  await page.getByText('searching').first().waitFor();
  await page.locator('.match').first().waitFor({ timeout: 120_000 });
  await look('running');
  await page.locator('h1', { hasText: 'finished' }).waitFor({ timeout: 300_000 });
  const match = page.locator('.match', { has: page.locator('img') }).first();
  await match.waitFor();
  const drawn = await match
    .locator('img')
    .evaluate((img: { decode(): Promise<void>; naturalWidth: number }) => img.decode().then(() => img.naturalWidth));
  expect(drawn).toBeGreaterThan(40);
  await page.locator('.dot').first().click();
  await page.locator('.match.chosen').waitFor();
  const [found] = await on().api.all<{ id: string; coverage: Record<string, number> }>('/searches');
  const { searchedSeconds = 0, noFootageSeconds = 0, failedSeconds = 0, indexedSeconds = 0 } = found?.coverage ?? {};
  expect(searchedSeconds + noFootageSeconds + failedSeconds + indexedSeconds).toBeCloseTo(on().cameras.length * 240, 3);
  const legend = await page.locator('.legend').innerText();
  for (const seconds of [searchedSeconds, failedSeconds]) expect(legend).toContain(`${seconds.toLocaleString('en')} s`);
  await match.getByTitle('This is the person').click();
  await match.locator('.el-button--success').waitFor();
  await page.waitForTimeout(500);
  await look('finished');
  await page.setViewportSize({ width: 900, height: 900 });
  await look('finished-narrow');
  await page.setViewportSize({ width: 1440, height: 900 });
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('boxes, the other language, and logging out', async () => {
  await page.getByRole('menuitem', { name: 'Boxes and cameras' }).click();
  await page.getByText('East gate').waitFor();
  await look('boxes');
  await page.getByRole('button', { name: '中文' }).click();
  await page.getByRole('menuitem', { name: '人员库' }).waitFor();
  await look('boxes-zh');
  await page.getByRole('menuitem', { name: '检索' }).click();
  await page.locator('.clickable').first().click();
  await page.locator('.match').first().waitFor();
  await look('finished-zh');
  await page.goto(`${on().url}/#/searches/new`);
  await page.locator('.choices label').first().waitFor();
  await look('search-form-zh');
  expect(await page.locator('body').innerText()).not.toMatch(/\b(searches|people|boxes|common|errors)\.[a-z]/i);
  await page.locator('.el-dropdown').click();
  await page.getByText('退出').click();
  await page.locator('input[name=password]').waitFor();
  await page.goto(`${on().url}/#/people`);
  await page.locator('input[name=password]').waitFor();
  expect(complaints.splice(0)).toEqual([]);
});

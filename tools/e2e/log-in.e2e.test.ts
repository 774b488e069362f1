/** Log-in in a real browser: the console, Star's own identity provider behind the gateway, and users looked after by an administrator. */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { base32, totpCode } from '../../cloud/platform/src/test-kit/browser.ts';
import { type KeptProcess, keepRunning } from '../world/kept-process.ts';

const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = existsSync(chromiumPath) ? test : test.skip;
const adminPassword = 'first secret 1';
const ownPassword = 'another horse 8';

let folder: string;
let star: KeptProcess<{ url: string }> | undefined;
let browser: Browser | undefined;
/** The administrator's browser, and the one of the user she makes. */
let admin: BrowserContext;
let hers: BrowserContext;
let page: Page;
let temporary: string;

beforeAll(async () => {
  if (!existsSync(chromiumPath)) return;
  folder = mkdtempSync(join(tmpdir(), 'star-log-in-'));
  star = await keepRunning({
    name: 'star',
    script: require.resolve('@star/star/dist/main.js'),
    logFile: join(folder, 'star.log'),
    env: {
      STAR_DATA: join(folder, 'star'),
      STAR_SHAPE: 'services',
      STAR_HTTP_PORT: '0',
      STAR_MQTT_PORT: '0',
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_PASSWORD: adminPassword,
    },
  });
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  [admin, hers] = (await Promise.all([1, 2].map(() => (browser as Browser).newContext({ locale: 'en-GB' })))) as [
    BrowserContext,
    BrowserContext,
  ];
  page = await admin.newPage();
});
afterAll(async () => {
  await browser?.close();
  await star?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const url = () => (star as KeptProcess<{ url: string }>).ready().url;

async function look(on: Page, name: string): Promise<void> {
  expect(await on.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')).toBe(0);
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await on.screenshot({ path: join(pictures, `log-in-${name}.png`), fullPage: true });
}

async function type(on: Page, username: string, password: string): Promise<void> {
  await on.getByLabel('User name').fill(username);
  await on.getByLabel('Password').fill(password);
  await on.keyboard.press('Enter');
}

/** What an access token that has ended looks like to the console. */
const spoilToken = (on: Page) =>
  on.evaluate(
    "sessionStorage.setItem('star.session', JSON.stringify({ ...JSON.parse(sessionStorage.getItem('star.session')), access: 'x.y.z' }))",
  );

withBrowser('leads to where the reader was going, and makes a user with a temporary password', async () => {
  await page.goto(`${url()}/#/users`);
  await page.getByLabel('User name').waitFor();
  expect(page.url()).toContain('/realms/star/log-in/');
  await type(page, 'admin', 'wrong');
  await page.getByText('User name or password is wrong.').waitFor();
  await look(page, 'wrong');
  await page.getByLabel('Password').fill(adminPassword);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Add a user' }).click();
  // Neither code nor token stays in the address.
  expect(page.url()).toBe(`${url()}/#/users`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('User name').fill('wang');
  await dialog.getByLabel('Name', { exact: true }).fill('王丽');
  await dialog.getByText('Require a second factor').click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  temporary = await page.locator('code.password').innerText();
  await look(page, 'users');
});

withBrowser('stays over a reload and the end of a token, in other tabs too, and ends by logging out', async () => {
  await spoilToken(page);
  await page.reload();
  await page.getByRole('cell', { name: 'wang' }).first().waitFor();
  const tab = await admin.newPage();
  await tab.goto(url());
  // Nothing is there yet: she is led to what comes first.
  await tab.getByRole('heading', { name: 'Getting started' }).waitFor();
  await tab.getByRole('button', { name: 'admin' }).click();
  await tab.getByText('My account').click();
  await tab.getByRole('button', { name: 'Password and second factor' }).click();
  await tab.getByText('Change password').first().waitFor();
  await look(tab, 'account');
  await tab.getByRole('link', { name: 'To the console' }).click();
  await tab.getByRole('button', { name: 'admin' }).click();
  await tab.getByText('Log out').click();
  await tab.getByLabel('User name').waitFor();
  await tab.close();
  // The other tab shares the session, and finds out with its next token.
  await spoilToken(page);
  await page.reload();
  await page.getByText('Your session has ended.', { exact: false }).waitFor();
  await page.getByRole('button', { name: 'Log in' }).click();
  await type(page, 'admin', adminPassword);
  await page.getByRole('cell', { name: 'wang' }).first().waitFor();
});

withBrowser('of a new user: second factor, recovery codes, a password of her own, and only what she may see', async () => {
  const own = await hers.newPage();
  await own.goto(url());
  await type(own, 'wang', temporary);
  await own.getByText('Set up a second factor').waitFor();
  await look(own, 'enrol');
  const secret = base32(await own.locator('#kc-totp-secret-key').innerText());
  await own.getByLabel('Code', { exact: true }).fill(totpCode(secret, Date.now()));
  await own.keyboard.press('Enter');
  await own.getByText('Your recovery codes').waitFor();
  expect(await own.locator('li').count()).toBe(10);
  await look(own, 'recovery-codes');
  await own.getByRole('button', { name: 'Continue' }).click();
  await own.getByLabel('New password', { exact: true }).fill(ownPassword);
  await own.getByLabel('New password again').fill(ownPassword);
  await look(own, 'new-password');
  await own.keyboard.press('Enter');
  await own.getByText('No search yet.', { exact: false }).waitFor();
  expect(await own.getByRole('navigation').getByRole('link', { name: 'Users' }).count()).toBe(0);
});

withBrowser('is over when an administrator ends the sessions', async () => {
  const [own] = hers.pages() as [Page];
  await page.reload();
  await page.getByRole('button', { name: 'Actions: wang' }).click();
  await page.getByText('End sessions').locator('visible=true').click();
  await page.getByRole('button', { name: 'Yes' }).click();
  await page.getByText('Done.').waitFor();
  await spoilToken(own);
  await own.reload();
  await own.getByText('Your session has ended.', { exact: false }).waitFor();
  await look(own, 'ended');
  await own.getByRole('button', { name: 'Log in' }).click();
  await type(own, 'wang', ownPassword);
  await own.getByText('Second factor').waitFor();
});

/** A request of whoever is logged in there. */
const ask = <T>(on: Page, method: string, path: string, body: object): Promise<T> =>
  on.evaluate<T>(
    `fetch('/api/v1${path}', { method: '${method}', headers: { 'content-type': 'application/json', authorization: 'Bearer ' + JSON.parse(sessionStorage.getItem('star.session')).access }, body: ${JSON.stringify(JSON.stringify(body))} }).then((answer) => answer.json())`,
  );

withBrowser('of somebody with roles on areas only shows what these roles open, and nothing else', async () => {
  const area = await ask<{ id: string }>(page, 'POST', '/areas', { kind: 'community', name: 'East court' });
  const user = { username: 'wu', displayName: 'Wu', roles: [] };
  const { id, password } = await ask<{ id: string; password: string }>(page, 'POST', '/users', user);
  await ask(page, 'POST', '/grants', { userId: id, areaId: area.id, role: 'viewer' });
  const own = await (await (browser as Browser).newContext({ locale: 'en-GB' })).newPage();
  await own.goto(`${url()}/#/people`);
  await type(own, 'wu', password);
  await own.getByLabel('New password', { exact: true }).fill(ownPassword);
  await own.getByLabel('New password again').fill(ownPassword);
  await own.keyboard.press('Enter');
  await own.getByText('Nobody is enrolled yet.', { exact: false }).waitFor();
  const pages = own.getByRole('navigation').locator('.entry');
  expect(await pages.allInnerTexts()).toEqual(['Searches', 'People', 'Areas', 'Boxes and cameras']);
  expect(await own.getByRole('button', { name: 'Add a person' }).count()).toBe(0);
  await pages.getByText('Boxes and cameras').click();
  await own.getByText('No box has registered yet.', { exact: false }).waitFor();
  expect(await own.getByRole('button', { name: 'Connect a box' }).count()).toBe(0);
  await look(own, 'roles-on-areas');
  // What is not in the menu is not reached by its address either.
  await own.goto(`${url()}/#/users`);
  await own.getByText('No search yet.', { exact: false }).waitFor();
  // Given the same role on it as its administrator, she may connect boxes there: known with the next token.
  await ask(page, 'POST', '/grants', { userId: id, areaId: area.id, role: 'tenant-admin' });
  await own.reload();
  await pages.getByText('Boxes and cameras').click();
  await own.getByRole('button', { name: 'Connect a box' }).waitFor();
});

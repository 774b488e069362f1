/** The console in a real browser, as an operator uses it: log in, enrol, ask, watch, read the answer, log out. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PersonDeletion, Search } from '@stardipper/proto';
import { type Browser, chromium, type Page } from 'playwright-core';
import { packAndPeople } from '../world/pack-and-people.ts';
import { startWorld, type World } from '../world/world.ts';

const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Pictures of every step go there, for whoever wants to look. */
const pictures = process.env.CONSOLE_PICTURES;
const withBrowser = existsSync(chromiumPath) ? test : test.skip;

let folder: string;
let world: World | undefined;
let browser: Browser | undefined;
let page: Page;
/** What the browser complained about. */
const complaints: string[] = [];

const minuteMs = 60_000;
/** Short, and with everything in it: people on two boxes, a camera without footage for a while, one that fails. */
const rangeMs = 3 * minuteMs;
const wide = { width: 1440, height: 900 };
const narrow = { width: 768, height: 900 };
const middle = { width: 1024, height: 900 };
let shots = 0;

/** Nothing may stick out of the page, wide or narrow, nor out of what is beside the menu; pictures are taken of all. */
async function look(name: string): Promise<void> {
  shots += 1;
  for (const size of [narrow, middle, wide]) {
    await page.setViewportSize(size);
    // The browser has laid the page out anew, and what was fading has faded.
    await page.waitForFunction(
      'document.getAnimations().every((a) => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)',
    );
    const over = await page.evaluate<number[]>(
      '[document.documentElement.scrollWidth - window.innerWidth, ...[...document.querySelectorAll("#page")].map((e) => e.scrollWidth - e.clientWidth)]',
    );
    expect({ name, over: Math.max(...over) }).toEqual({ name, over: 0 });
    if (!pictures) continue;
    mkdirSync(pictures, { recursive: true });
    // What stays in sight while the page scrolls is drawn where it is: at the top.
    await page.evaluate('window.scrollTo(0, 0)');
    await page.screenshot({ path: join(pictures, `${String(shots).padStart(2, '0')}-${name}-${size.width}.png`), fullPage: true });
  }
}

beforeAll(async () => {
  if (!existsSync(chromiumPath)) return;
  folder = mkdtempSync(join(tmpdir(), 'star-console-'));
  world = await startWorld({ ...packAndPeople(process.env), folder, say: (line) => process.stderr.write(`${line}\n`) });
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  // Not the zone of the machine: times must be the reader's.
  const context = await browser.newContext({ viewport: wide, locale: 'en-GB', timezoneId: 'Asia/Shanghai' });
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
const group = () => on().plan.groups[0] as string[];
/** A file to choose. */
async function photoOf(name: string): Promise<string> {
  const file = on().plan.enrolled[name] as string;
  writeFileSync(join(folder, file), await on().cast.photo(file));
  return join(folder, file);
}

/** By the side menu. */
const open = (name: string) => page.getByRole('navigation').getByRole('link', { name }).click();

const card = (name: string) => page.locator('.person', { hasText: name });

async function logIn(password: string): Promise<void> {
  await page.getByLabel('User name').fill(on().login.username);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

/** As the date picker shows a time to a reader in China. */
function shown(ms: number): string {
  return new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'Asia/Shanghai' }).format(ms);
}

/** Every picture on the page that is in view is drawn and has words for who cannot see it. */
async function expectPictures(selector: string, atLeast: number): Promise<void> {
  const read = `Promise.all([...document.querySelectorAll(${JSON.stringify(selector)})].map((img) => {
    img.loading = 'eager';
    return img.decode().then(() => ({ alt: img.alt, width: img.naturalWidth }), () => ({ alt: img.alt, width: 0 }));
  }))`;
  const drawn = await page.evaluate<{ alt: string; width: number }[]>(read);
  expect(drawn.length).toBeGreaterThanOrEqual(atLeast);
  for (const picture of drawn) {
    expect(picture.alt).not.toBe('');
    expect(picture.width).toBeGreaterThan(40);
  }
}

withBrowser('logging in: a wrong password is refused in words, the right one leads to where the reader was going', async () => {
  await page.goto(`${on().url}/#/people`);
  await page.getByLabel('User name').waitFor();
  expect(await page.evaluate('document.activeElement.name')).toBe('username');
  await look('log-in');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Type your user name and your password.').waitFor();
  await logIn('wrong');
  await page.getByText('User name or password is wrong.').waitFor();
  // Only the password has to be typed again.
  expect(await page.evaluate('document.activeElement.name')).toBe('password');
  await look('wrong-password');
  await logIn(on().login.password);
  await page.getByText('Nobody is enrolled yet.', { exact: false }).waitFor();
  await look('nobody');
  await open('Searches');
  await page.getByText('No search yet.', { exact: false }).waitFor();
  await look('no-search');
  await page.getByRole('button', { name: 'New search' }).click();
  await page.getByText('Nobody with a photo is enrolled yet.', { exact: false }).waitFor();
  await look('nobody-to-search-for');
  // The two refusals are what the browser logged, and nothing else.
  expect(complaints.splice(0)).toEqual([expect.stringContaining('400'), expect.stringContaining('400')]);
});

withBrowser('the side menu: says where one is, is walked with the keyboard, and stays folded', async () => {
  const pages = page.getByRole('navigation');
  const here = () => pages.locator('[aria-current=page]').innerText();
  await open('Deletions');
  await page.getByText('Nobody has been deleted.').waitFor();
  expect([await here(), await page.title()]).toEqual(['Deletions', 'Deletions · Star']);
  await pages.getByRole('link', { name: 'Audit' }).focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Searches of this tenant run without approval.', { exact: false }).waitFor();
  expect(await here()).toBe('Approvals');
  await page.getByRole('button', { name: 'Fold the menu' }).click();
  await page.reload();
  await page.getByRole('button', { name: 'Unfold the menu' }).waitFor();
  expect(await here()).toBe('');
  await look('menu-folded');
  await page.getByRole('button', { name: 'Unfold the menu' }).click();
  expect(await here()).toBe('Approvals');
  // Where there is little room it lies over the page, until a page is chosen or it is sent away.
  await page.setViewportSize(narrow);
  await page.getByRole('button', { name: 'Unfold the menu' }).press('Enter');
  await page.getByText('Administration').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Unfold the menu' }).click();
  await pages.getByText('Areas').click();
  await page.getByRole('button', { name: 'Unfold the menu' }).waitFor();
  await page.setViewportSize(wide);
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('people: added with photos chosen or dropped; a photo without a face is refused in words', async () => {
  await open('People');
  const dialog = page.getByRole('dialog');
  for (const name of group()) {
    await page.getByRole('button', { name: 'Add a person' }).click();
    await dialog.getByLabel('Name').fill(name);
    await page.locator('#person-photos').setInputFiles(await photoOf(name));
    await expectPictures('.preview img', 1);
    if (name === group()[0]) await look('add-a-person');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await card(name).locator('.photo img').waitFor();
  }
  const [first = ''] = group();
  const empty = join(folder, 'wall.png');
  writeFileSync(empty, await page.screenshot({ clip: { x: 0, y: 600, width: 300, height: 300 } }));
  await page.getByLabel(`Add photos of ${first}`).setInputFiles(empty);
  await card(first).getByText('wall.png: No face was found in this photo.').waitFor();
  // A file is also dropped, as from the desktop.
  const dropped = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob('${readFileSync(empty).toString('base64')}'), (c) => c.charCodeAt(0))], 'dropped.png', { type: 'image/png' }));
    return transfer;
  })()`);
  await card(first).locator('.add-photo').dispatchEvent('drop', { dataTransfer: dropped });
  await card(first).getByText('dropped.png: No face was found in this photo.').waitFor();
  await look('people');
  await expectPictures('.photo img', group().length);
  expect(await page.locator('.person').count()).toBe(group().length);
  await page.getByLabel(`Change ${first}`).click();
  await dialog.getByLabel('Note').fill('Wears a red coat');
  await page.keyboard.press('Tab');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await card(first).getByText('Wears a red coat').waitFor();
  await page.getByLabel(`Delete ${first}`).click();
  await page.getByText(`Delete ${first} with all photos?`).waitFor();
  await look('delete-ask');
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(complaints.splice(0)).toEqual([expect.stringContaining('422'), expect.stringContaining('422')]);
});

withBrowser('a search: estimate, progress, matches with their pictures, coverage to the last second', async () => {
  const from = on().range.from + 2 * minuteMs;
  await open('Searches');
  await page.getByRole('button', { name: 'New search' }).click();
  await page.getByText('Still to give: people, cameras, a purpose.').waitFor();
  for (const name of group()) await page.locator('.choices label', { hasText: name }).click();
  for (const community of ['East court', 'West court']) await page.getByText(community, { exact: true }).click();
  await page.getByText(`${on().cameras.length} cameras chosen of ${on().cameras.length}`).waitFor();
  await page.getByText('Asia/Shanghai (GMT+8)', { exact: false }).waitFor();
  await page.getByPlaceholder('From').click();
  await look('time-range');
  await page.getByPlaceholder('From').fill(shown(from));
  await page.getByPlaceholder('To', { exact: true }).fill(shown(from + rangeMs));
  await page.keyboard.press('Enter');
  await page.getByLabel('Purpose').fill('A lost child');
  await look('search-form');
  await page.getByRole('button', { name: 'Show the estimate' }).click();
  await page.getByText('camera-hours asked for').waitFor();
  const cameraSeconds = (on().cameras.length * rangeMs) / 1000;
  expect(await page.locator('.figures').innerText()).toContain((cameraSeconds / 3600).toFixed(2));
  await look('estimate');
  await page.getByRole('button', { name: 'Start search' }).click();
  await page.getByText('searching').first().waitFor();
  await page.locator('.match').first().waitFor({ timeout: 120_000 });
  await look('running');
  await page.locator('h1', { hasText: 'finished' }).waitFor({ timeout: 150_000 });
  await page.waitForFunction('document.querySelectorAll(".match").length > 0 && !document.querySelector(".no-crop")');
  await expectPictures('img.crop', 1);
  // Every name that is seen is one that was asked for, on a camera that is there.
  const facts = await page.locator('.match').first().innerText();
  expect(group().some((name) => facts.includes(name))).toBe(true);
  expect(on().cameras.some((camera) => facts.includes(camera.name))).toBe(true);
  expect(facts).toMatch(/\d\d:\d\d:\d\d · score 0\.\d\d/);
  await page.locator('.dot').last().click();
  await page.locator('.match.chosen').waitFor();
  const [found] = await on().api.all<{ id: string; matches: number; coverage: Record<string, number> }>('/searches');
  expect(await page.locator('.match').count()).toBe(found?.matches);
  const { searchedSeconds = 0, noFootageSeconds = 0, failedSeconds = 0, indexedSeconds = 0 } = found?.coverage ?? {};
  expect(searchedSeconds + noFootageSeconds + failedSeconds + indexedSeconds).toBeCloseTo(cameraSeconds, 3);
  for (const [kind, seconds] of Object.entries({ searched: searchedSeconds, 'no footage': noFootageSeconds, failed: failedSeconds })) {
    await page.locator('.legend', { hasText: `${kind} ${seconds / 60} min` }).waitFor();
  }
  // The camera that cannot be read is named, with the reason in words.
  await page.locator('.gaps', { hasText: 'Roof terrace: recorder' }).waitFor();
  await page.locator('.match').first().getByLabel('This is the person').click();
  await page.locator('.match').first().locator('.el-button--success').waitFor();
  await page.getByText('Confirmed', { exact: true }).click();
  await page.getByRole('heading', { name: '1 match' }).waitFor();
  await look('confirmed');
  await page.locator('.el-radio-button', { hasText: 'All' }).click();
  await look('finished');
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('calibration: what a threshold would do with the people and verdicts there are', async () => {
  await open('Calibration');
  await page.locator('polygon.different').waitFor();
  const pairs = (group().length * (group().length - 1)) / 2;
  await page.getByText(`Of ${pairs} pairs of different people, none would be taken for the same person`, { exact: false }).waitFor();
  await page.getByText('With so few people', { exact: false }).waitFor();
  await page.getByText('Nobody has two photos', { exact: false }).waitFor();
  await page.getByText('Matches you confirmed: 1 of 1 score at least this.').waitFor();
  await look('calibration');
  const recommended = page.getByText('The pack recommends', { exact: false });
  for (let n = 0; n < 3; n++) await page.locator('.el-slider__button-wrapper').press('ArrowLeft');
  await recommended.click();
  await page.getByText('Matches you confirmed: 1 of 1 score at least this.').waitFor();
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('areas: a building, a camera in it, a role on it, and what cannot be merged or deleted', async () => {
  await open('Areas');
  await page.getByText(`2 boxes · ${on().cameras.length} cameras`).waitFor();
  await look('areas');
  await page.getByRole('button', { name: 'Add an area below East court' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Type a name.').waitFor();
  await page.getByRole('dialog').getByLabel('Name').fill('Tower 1');
  await look('area-form');
  await page.keyboard.press('Enter');
  const act = async (area: string, what: string) => {
    await page.getByRole('button', { name: `What to do with ${area}` }).click();
    await page.locator('.el-dropdown-menu__item:visible', { hasText: what }).click();
  };
  await act('Tower 1', 'Roles');
  await page.getByText('Nobody has a role on this area alone.').waitFor();
  await page.getByRole('dialog').getByRole('textbox', { name: 'User' }).click();
  await page.locator('.el-select-dropdown__item:visible', { hasText: on().login.username }).click();
  await page.getByRole('button', { name: 'Give the role' }).click();
  await page.getByRole('cell', { name: 'Riverside / East court / Tower 1' }).waitFor();
  await look('area-roles');
  await page.keyboard.press('Escape');
  await act('West court', 'Merge');
  await page.getByRole('dialog').getByRole('textbox').click();
  await page.locator('.el-select-dropdown__item:visible', { hasText: 'East court' }).click();
  await look('area-merge');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await act('West court', 'Delete');
  await page.getByRole('button', { name: 'Yes' }).click();
  await page.getByText('Something still stands here').waitFor();
  await open('Boxes and cameras');
  await page.locator('.camera').first().click();
  await page.getByRole('dialog').getByRole('textbox').click();
  await page.locator('.el-select-dropdown__item:visible', { hasText: 'Tower 1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.locator('.camera', { hasText: 'Tower 1' }).waitFor();
  await look('camera-in-a-building');
  await page.goto(`${on().url}/#/searches/new`);
  await page.getByText('Tower 1', { exact: true }).click();
  await page.getByText('1 camera chosen of').waitFor();
  await look('cameras-by-area');
  // The refusal above, as the browser reports it.
  expect(complaints.splice(0)).toEqual([expect.stringContaining('409')]);
});

withBrowser('a second person for searches, and somebody deleted on Star and on every box, all of it in the audit log', async () => {
  await open('Approvals');
  await page.locator('.el-switch').click();
  await page.locator('.el-switch.is-checked').waitFor();
  // Whom the cameras have seen, but least of all.
  const [searched] = await on().api.all<Search>('/searches');
  const seen = (await on().api.matches(searched?.id as string)).map(({ personId }) => personId);
  const times = (id: string) => seen.filter((each) => each === id).length;
  const [person] = (await on().api.people()).filter(({ id }) => times(id) > 0).sort((a, b) => times(a.id) - times(b.id));
  const cameraIds = on().cameras.map((camera) => camera.id);
  const [from, to] = [on().range.from, on().range.from + minuteMs].map((ms) => new Date(ms).toISOString());
  const draft = await on().api.createSearch({
    name: 'Second look',
    purpose: 'A lost child',
    personIds: [person?.id as string],
    cameraIds,
    from,
    to,
  });
  await on().api.startSearch(draft.id);
  await page.getByText('Yours: somebody else has to decide.').waitFor();
  await look('approvals');
  await page.getByRole('link', { name: 'Second look' }).click();
  await page.getByText('Waits for a second person.', { exact: false }).waitFor();
  await look('awaiting-approval');
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Yes' }).click();
  await page.locator('h1', { hasText: 'stopped' }).waitFor();
  await open('Approvals');
  await page.locator('.el-switch.is-checked').click();
  await page.getByText('run without approval', { exact: false }).waitFor();
  await on().api.deleteSearch(draft.id);

  await open('People');
  await page.getByLabel(`Delete ${person?.name}`).click();
  await page.getByRole('button', { name: 'Yes' }).click();
  await page.getByLabel(`Delete ${person?.name}`).waitFor({ state: 'detached' });
  await open('Deletions');
  await page.getByText('complete', { exact: true }).waitFor({ timeout: 60_000 });
  const [deletion] = await on().api.all<PersonDeletion>('/people/deletions');
  expect(deletion?.edges?.map((edge) => edge.state)).toEqual(['done', 'done']);
  // Wherever a search had found this person, the box has forgotten the face.
  const forgotten = deletion?.edges?.reduce((sum, edge) => sum + (edge.receipt?.sightings ?? 0), 0);
  expect(forgotten).toBeGreaterThanOrEqual(times(person?.id as string));
  expect(deletion?.star.matches).toBe(times(person?.id as string));
  await look('deletions');

  await open('Audit');
  await page.locator('.el-table__row', { hasText: 'Person deleted' }).waitFor();
  await page.locator('.el-table__row', { hasText: 'Approval asked for' }).waitFor();
  await look('audit');
  expect(complaints.splice(0)).toEqual([]);
});

withBrowser('boxes, the other language, and logging out', async () => {
  await open('Boxes and cameras');
  await page.getByText('East gate').waitFor();
  await look('boxes');
  await page.getByRole('button', { name: 'Connect a box' }).click();
  await page.getByRole('dialog').getByRole('textbox').click();
  await page.locator('.el-select-dropdown__item', { hasText: 'West court' }).click();
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.locator('#box-secret').waitFor();
  await look('provisioning-key');
  expect((await page.locator('#box-secret').inputValue()).length).toBeGreaterThan(8);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
  await page.getByRole('button', { name: 'Add a recorder' }).first().click();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Fill this in.').first().waitFor();
  await look('recorder-form');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: '中文' }).click();
  await page.getByRole('navigation').getByRole('link', { name: '人员库' }).waitFor();
  const untranslated =
    /\b(searches|people|approvals|deletions|audit|calibration|areas|roles|boxes|common|errors|fields|units|menu|users|account)\.[a-z]/i;
  const pages = [
    { path: '/areas', there: '.areas .row', name: 'areas-zh' },
    { path: '/boxes', there: '.camera', name: 'boxes-zh' },
    { path: '/people', there: '.person', name: 'people-zh' },
    { path: '/people/calibration', there: 'polygon.different', name: 'calibration-zh' },
    { path: '/people/deletions', there: '.place', name: 'deletions-zh' },
    { path: '/approvals', there: '.el-radio-group', name: 'approvals-zh' },
    { path: '/audit', there: '.el-table__row', name: 'audit-zh' },
    { path: '/searches/new', there: '.choices label', name: 'search-form-zh' },
    { path: '/users', there: '.el-table__row', name: 'users-zh' },
    { path: '/account', there: '.el-card button', name: 'account-zh' },
    { path: '/searches', there: '.clickable', name: 'searches-zh' },
  ];
  for (const { path, there, name } of pages) {
    await page.goto(`${on().url}/#${path}`);
    await page.locator(there).first().waitFor();
    await look(name);
    expect(await page.locator('body').innerText()).not.toMatch(untranslated);
  }
  await page.locator('.clickable a').first().click();
  await page.locator('.match').first().waitFor();
  await look('finished-zh');
  expect(await page.locator('body').innerText()).toMatch(/已检索 \d+ 分/);
  expect(await page.locator('body').innerText()).not.toMatch(untranslated);
  await page.locator('.el-dropdown').click();
  await page.getByText('退出登录').click();
  await page.getByLabel('用户名').waitFor();
  await look('logged-out-zh');
  await page.goto(`${on().url}/#/people`);
  await page.getByLabel('用户名').waitFor();
  // Somebody of the finished search has been deleted: asked for, and not there.
  expect(complaints.splice(0).filter((each) => !each.includes('404'))).toEqual([]);
});

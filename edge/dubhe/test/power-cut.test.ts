import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '@dipper/platform';
import { afterEachCut, cutSeed } from '../../platform/test/support/power-cut';
import { recordLives, testRecorded } from '../../platform/test/support/recorded-writes';
import { AttributesStore } from '../src/attributes.store';
import { credentialsPath, readCredentials } from '../src/credentials';
import { CropsStore } from '../src/crops.store';
import { migrations } from '../src/migrations';
import { OutgoingStore } from '../src/outgoing.store';
import { nextStep, nothingYet, reportNumber, type Waiting } from './support/spool-steps';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'power-cut-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const quota = 10_000_000;
const aReport = (n: number) => ({
  id: `task:${n}`,
  key: 'taskReport',
  body: JSON.stringify({ n, pad: 'x'.repeat(300) }),
  atMs: 1,
  cropSightingIds: [`s${n}`],
});

describe('after a power cut', () => {
  it('the spool holds exactly what was answered for, wherever the log was torn', () => {
    const path = join(folder, 'dubhe.db');
    const db = openSqlite(path, migrations);
    db.exec('PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0');
    const store = new OutgoingStore(db, quota);
    /** After each commit: how long the log was, and what a reader must then find. */
    const commits = [{ bytes: 0, pending: [] as number[] }];
    let pending: number[] = [];
    for (let step = 1; step <= 40; step++) {
      const batch = Array.from({ length: (step % 5) + 1 }, (_, index) => step * 10 + index);
      store.add(batch.map(aReport), 0);
      pending = [...pending, ...batch];
      commits.push({ bytes: statSync(`${path}-wal`).size, pending });
      if (step % 7 === 0) {
        const first = store.nextAfter(0, 6);
        store.finish(first.map((report) => report.seq));
        pending = pending.slice(6);
        commits.push({ bytes: statSync(`${path}-wal`).size, pending });
      }
    }
    const end = statSync(`${path}-wal`).size;
    for (let cut = 0; cut < 60; cut++) {
      const at = (cutSeed * 7919 + cut * 104_729 * 31) % (end + 1);
      const copy = join(folder, `copy-${cut}.db`);
      copyFileSync(path, copy);
      copyFileSync(`${path}-wal`, `${copy}-wal`);
      truncateSync(`${copy}-wal`, at);
      const reopened = openSqlite(copy, migrations);
      const found = new OutgoingStore(reopened, quota).nextAfter(0, 10_000).map((report) => (JSON.parse(report.body) as { n: number }).n);
      const expected = commits.findLast((commit) => commit.bytes <= at)?.pending;
      expect({ cutSeed, at, found }).toEqual({ cutSeed, at, found: expected });
      expect(reopened.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      reopened.close();
    }
    db.close();
  });

  testRecorded('the spool holds everything it took and nothing that Star has, whatever was not synced', async () => {
    const recorded = join(folder, 'recorded');
    mkdirSync(recorded);
    const lives = [40, 5, 110, 8, 90].map((nth) => ({ until: 'fsync', nth }) as const);
    const calls = await recordLives(recorded, join(__dirname, 'support', 'spool-lives.ts'), lives);
    await afterEachCut(calls, folder, 200, (copy, { said }) => {
      const db = openSqlite(join(copy, 'dubhe', 'dubhe.db'), migrations);
      const store = new OutgoingStore(db, quota);
      const promised = said.length > 0 ? (JSON.parse(said.at(-1) as string) as Waiting) : nothingYet;
      // What was under way has happened or not, but not in part.
      const possible = [promised, nextStep(promised).after];
      const found = store.nextAfter(0, 1000);
      const numbers = found.map((report) => Number(report.id.slice('task:'.length)));
      const waiting = { oldest: numbers[0] ?? nothingYet.oldest, newest: numbers.at(-1) ?? nothingYet.newest };
      expect(possible).toContainEqual(waiting);
      const all = Array.from({ length: waiting.newest - waiting.oldest + 1 }, (_, i) => waiting.oldest + i);
      expect(numbers).toEqual(all);
      expect(found.every((report, i) => report.body === reportNumber(all[i] as number).body)).toBe(true);
      // Each came with a crop to bring up, and none of those is done.
      expect(new CropsStore(db).stats().crops_pending).toBe(waiting.newest);
      // Submitted again, as by somebody who got no answer, they come no second time.
      store.add(
        Array.from({ length: waiting.newest }, (_, i) => ({ ...reportNumber(i + 1), body: '{}' })),
        0,
      );
      expect(store.nextAfter(0, 1000)).toEqual(found);
      expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      db.close();
    });
  });

  testRecorded('the credentials are the last ones promised, or those that were being written, and never torn', async () => {
    const recorded = join(folder, 'recorded');
    mkdirSync(recorded);
    const calls = await recordLives(recorded, join(__dirname, 'support', 'credentials-lives.ts'), [
      // Of the three of each token: that of the folder after the renaming, once, then that of the file.
      { until: 'fsync', nth: 6 },
      { until: 'fsync', nth: 32 },
    ]);
    await afterEachCut(calls, folder, 100, (copy, { said }) => {
      const promised = Number(said.at(-1) ?? 0);
      expect([promised, promised + 1]).toContain(Number(readCredentials(credentialsPath(copy))?.token ?? 0));
    });
  });

  it('the quota still counts what is there', () => {
    const path = join(folder, 'dubhe.db');
    const first = openSqlite(path, migrations);
    new OutgoingStore(first, quota).add([aReport(1), aReport(2)], 0);
    const used = new OutgoingStore(first, quota).stats().spool_used_bytes;
    first.close();
    const second = openSqlite(path, migrations);
    expect(new OutgoingStore(second, quota).stats().spool_used_bytes).toBe(used);
    second.close();
  });
});

it('a full disk refuses the submission, keeps what is there, and takes more when there is room again', () => {
  const db = openSqlite(join(folder, 'dubhe.db'), migrations);
  const store = new OutgoingStore(db, quota);
  store.add([aReport(1)], 0);
  const { page_count: pages } = db.prepare('PRAGMA page_count').get() as { page_count: number };
  db.exec(`PRAGMA max_page_count = ${pages + 2}`);
  const many = Array.from({ length: 200 }, (_, index) => aReport(index + 2));
  expect(() => store.add(many, 0)).toThrow(expect.objectContaining({ code: 'spool.disk_full', kind: 'limited' }));
  expect(store.nextAfter(0, 1000)).toHaveLength(1);
  db.exec('PRAGMA max_page_count = 100000');
  store.add(many, 0);
  expect(store.nextAfter(0, 1000)).toHaveLength(201);
  db.close();
});

it('a configuration revision never goes back, and unchanged values make no new one', () => {
  const path = join(folder, 'dubhe.db');
  const first = openSqlite(path, migrations);
  const store = new AttributesStore(first);
  expect(store.change({ a: '1', __proto__x: '2' }, ['never'])).toBe(true);
  expect(store.change({ a: '1' }, ['never'])).toBe(false);
  const { revision } = store.current();
  first.close();
  const second = openSqlite(path, migrations);
  const again = new AttributesStore(second);
  expect(again.current()).toEqual({ revision, attributes: { a: '1', __proto__x: '2' } });
  expect(again.change({}, ['a'])).toBe(true);
  expect(again.current().revision).toBeGreaterThan(revision);
  second.close();
});

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '@dipper/platform';
import { RecordedDisk, sampleCuts, seeded } from '../../platform/test/support/power-cut';
import { canRecord, recordWrites } from '../../platform/test/support/recorded-writes';
import { AttributesStore } from '../src/attributes.store';
import { migrations } from '../src/migrations';
import { OutgoingStore } from '../src/outgoing.store';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'power-cut-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const withStrace = canRecord() ? it : it.skip;
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
    const seed = Date.now() % 1_000_000;
    console.info(`power cut seed ${seed}`);
    for (let cut = 0; cut < 60; cut++) {
      const at = (seed * 7919 + cut * 104_729 * 31) % (end + 1);
      const copy = join(folder, `copy-${cut}.db`);
      copyFileSync(path, copy);
      copyFileSync(`${path}-wal`, `${copy}-wal`);
      truncateSync(`${copy}-wal`, at);
      const reopened = openSqlite(copy, migrations);
      const found = new OutgoingStore(reopened, quota).nextAfter(0, 10_000).map((report) => (JSON.parse(report.body) as { n: number }).n);
      const expected = commits.findLast((commit) => commit.bytes <= at)?.pending;
      expect({ at, found }).toEqual({ at, found: expected });
      expect(reopened.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      reopened.close();
    }
    db.close();
  });

  withStrace('the spool holds everything it took and nothing that Star has, whatever was not synced', async () => {
    const recorded = join(folder, 'recorded');
    mkdirSync(recorded);
    const register = join(__dirname, '..', '..', 'platform', 'test', 'support', 'register.cjs');
    // Enough for SQLite to fold its log back into the database several times.
    const calls = await recordWrites(recorded, ['-r', register, join(__dirname, 'support', 'spool-for-ever.ts'), recorded], 150);
    const seed = Date.now() % 1_000_000;
    const random = seeded(seed);
    const disk = new RecordedDisk(calls);
    for (const [i, cut] of sampleCuts(calls, 200, random).entries()) {
      const copy = join(folder, `cut-${i}`);
      disk.advanceTo(cut.count);
      disk.cutPower(copy, cut.luck, random);
      const db = openSqlite(join(copy, 'dubhe.db'), migrations);
      const context = { seed, count: cut.count, luck: cut.luck };
      const found = new OutgoingStore(db, quota).nextAfter(0, 10_000).map((report) => (JSON.parse(report.body) as { n: number }).n);
      const [oldest = 1, newest = 0] = (cut.said.at(-1) ?? '1 0').split(' ').map(Number);
      // Whatever was under way may have happened: a batch of five more at most, or the six oldest gone.
      const from = found[0] ?? newest + 1;
      const to = found.at(-1) ?? newest;
      expect({ ...context, found }).toEqual({ ...context, found: Array.from({ length: to - from + 1 }, (_, n) => from + n) });
      expect({ ...context, from: from === oldest || from === oldest + 6, to: to >= newest && to <= newest + 5 }).toEqual({
        ...context,
        from: true,
        to: true,
      });
      expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      db.close();
      rmSync(copy, { recursive: true, force: true });
    }
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

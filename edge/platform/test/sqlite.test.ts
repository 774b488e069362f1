import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyLog, inTransaction, lockAgent, lockHolder, openSqlite } from '../src';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platform-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a database', () => {
  const versions = ['CREATE TABLE a (b)', 'CREATE TABLE c (d)'];

  it('gets the migrations it lacks, once each, and is refused by an older program', () => {
    const path = join(folder, 'deep', 'x.db');
    openSqlite(path, versions.slice(0, 1)).close();
    openSqlite(path, versions).close();
    openSqlite(path, versions).close();
    expect(() => openSqlite(path, versions.slice(0, 1))).toThrow(/newer version/);
  });

  it('keeps nothing of a transaction that threw', () => {
    const db = openSqlite(join(folder, 'x.db'), versions);
    const failing = () =>
      inTransaction(db, () => {
        db.exec('INSERT INTO a VALUES (1)');
        throw new Error('half way');
      });
    expect(failing).toThrow('half way');
    expect(inTransaction(db, () => db.prepare('SELECT count(*) AS n FROM a').get())).toEqual({ n: 0 });
    db.close();
  });

  it('has in no file what was deleted, once its log is emptied', () => {
    const db = openSqlite(join(folder, 'x.db'), ['CREATE TABLE a (b BLOB)']);
    const secret = 'a face, in numbers';
    const insert = db.prepare('INSERT INTO a VALUES (?)');
    const written = () => readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(secret));
    // In a page with others, and over pages of its own.
    for (const repeated of [1, 2000]) inTransaction(db, () => insert.run(Buffer.from(secret.repeat(repeated))));
    db.exec('PRAGMA wal_checkpoint');
    inTransaction(db, () => insert.run(Buffer.from('somebody else')));
    expect(written()).toBe(true);
    inTransaction(db, () => db.exec(`DELETE FROM a WHERE b >= x'6120'  AND b < x'6121'`));
    emptyLog(db);
    expect(written()).toBe(false);
    expect(db.prepare('SELECT count(*) AS n FROM a').get()).toEqual({ n: 1 });
    db.close();
  });
});

describe('the lock of an agent', () => {
  it('has one holder per name, is named in the refusal, and is free again when it is given back', async () => {
    const unlock = await lockAgent(folder, 'merak', 0);
    expect(lockHolder(folder, 'merak')).toBe(process.pid);
    await expect(lockAgent(folder, 'merak', 60)).rejects.toMatchObject({ code: 'agent.already_running', params: { pid: process.pid } });
    const other = await lockAgent(folder, 'mizar', 0);
    const waiting = lockAgent(folder, 'merak', 5000);
    unlock();
    (await waiting)();
    expect(lockHolder(folder, 'merak')).toBeUndefined();
    other();
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inTransaction, lockAgent, lockHolder, openSqlite } from '../src';

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

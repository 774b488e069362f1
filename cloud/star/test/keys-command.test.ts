/** Real: an embedded PostgreSQL under a data folder, as Star keeps it, and the command itself. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createTenantKeys,
  type Database,
  type EmbeddedPostgres,
  migrate,
  openDatabase,
  platformMigrations,
  startEmbeddedPostgres,
} from '@star/platform';
import { commandSettings } from '../src/commands/command';
import { keysCommand } from '../src/commands/keys';
import { lastingSecret, makeSecrets, tenantsKeyPath } from '../src/secrets';

const tenantId = '0a000000-0000-4000-8000-000000000001';
let data: string;
let postgres: EmbeddedPostgres;

const rewrap = async (...args: string[]) => {
  const said: string[] = [];
  const code = await keysCommand.run(['rewrap', ...args], {
    settings: commandSettings.parse({ STAR_DATA: data }),
    say: (line) => said.push(line),
  });
  return [code, ...said];
};

async function withKeys<T>(work: (database: Database, installationKey: Buffer) => Promise<T>): Promise<T> {
  const database = openDatabase({ url: postgres.appUrl, poolSize: 1 });
  try {
    return await work(database, await lastingSecret(data, 'tenants'));
  } finally {
    await database.close();
  }
}
const keyNow = () =>
  withKeys((database, installationKey) => createTenantKeys({ database, installationKey, audit: async () => {} }).keyOf(tenantId));

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'star-keys-command-'));
  postgres = await startEmbeddedPostgres({ dataDir: join(data, 'postgres'), durable: false });
  await migrate(postgres.ownerUrl, 'platform', platformMigrations);
});
afterAll(async () => {
  await postgres?.stop();
  await rm(data, { recursive: true, force: true });
});

it('leaves every key what it was, and the installation key from before opens none', async () => {
  await expect(rewrap()).rejects.toThrow('no data folder');
  const path = tenantsKeyPath(data);
  const key = await keyNow();
  const before = await readFile(path);
  expect(await rewrap()).toEqual([0, '1 keys of tenants sealed anew']);
  expect(await keyNow()).toEqual(key);
  await rename(path, `${path}.good`);
  await writeFile(path, before);
  await expect(keyNow()).rejects.toThrow();
  await rename(`${path}.good`, path);
});

it('is for a Star that does not run', async () => {
  const key = await keyNow();
  await withKeys(async (database) => {
    await database.ping();
    await expect(rewrap()).rejects.toThrow('Star runs');
  });
  await expect(rewrap('now')).rejects.toThrow('only rewrap');
  expect(await keyNow()).toEqual(key);
});

it('cut off before the file was changed, is run again before Star starts', async () => {
  const key = await keyNow();
  const path = tenantsKeyPath(data);
  const before = await readFile(path);
  await rewrap();
  // As a power cut between the two leaves them.
  await rename(path, `${path}.next`);
  await writeFile(path, before);
  await expect(makeSecrets(data)).rejects.toThrow('run it again');
  expect(await rewrap()).toEqual([0, '1 keys of tenants sealed anew']);
  await makeSecrets(data);
  expect(await keyNow()).toEqual(key);
});

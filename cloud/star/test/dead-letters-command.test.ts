/** What an operator does with dead letters. Real: PostgreSQL, the bus in it with a consumer that fails, the command, its audit. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityMigrations } from '@star/identity';
import { type BusRecord, openPostgresBus, type PostgresBus } from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { tenantsMigrations } from '@star/tenants';
import { platformTenantId } from '@stardipper/proto';
import { commandSettings, UsageError } from '../src/commands/command';
import { deadLettersCommand } from '../src/commands/dead-letters';

const topic = 'tenant.updated.v1';
const tenantId = randomUUID();
let database: TestDatabase;
let bus: PostgresBus;
let broken: boolean;
let handled: string[];

beforeEach(async () => {
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  bus = await openPostgresBus({ db: database.db });
  broken = true;
  handled = [];
  await bus.subscribe({
    group: 'search',
    topics: [topic],
    maxAttempts: 1,
    handle: async ({ id }) => {
      if (broken) throw new Error(`out of\norder`);
      handled.push(id);
    },
  });
});
afterEach(async () => {
  await bus?.close();
  await database?.close();
});

const star = async (...args: string[]) => {
  const said: string[] = [];
  const settings = commandSettings.parse({ STAR_DATABASE_URL: database.appUrl });
  const code = await deadLettersCommand.run(args, { settings, say: (line) => said.push(line) });
  return { code, said };
};
const until = async (what: () => Promise<boolean>): Promise<void> => {
  while (!(await what())) await sleep(20);
};
/** Appends records, and waits until they are dead; their ids on the bus. */
async function dead(count: number): Promise<string[]> {
  const records = Array.from({ length: count }, (): BusRecord<typeof topic> => {
    const message = { tenantId, name: 'East court', state: 'enabled' as const };
    return { topic, key: tenantId, id: randomUUID(), tenantId, occurredAt: new Date(), message };
  });
  await bus.append(records);
  await until(async () => (await bus.deadLetters('search')).length === count);
  return records.map(({ id }) => id);
}
const idsIn = (said: readonly string[]) => said.flatMap((line) => /^[0-9a-f-]{36}(?= )/.exec(line) ?? []);
const audited = () =>
  database.db.tenant(platformTenantId, (tx) =>
    tx.query<{ action: string; subject: string }>('SELECT action, subject FROM tenants.audit_log WHERE tenant_id = $1 ORDER BY id', [
      platformTenantId,
    ]),
  );

it('shows them page by page, each once and on one line', async () => {
  await dead(5);
  const seen: string[] = [];
  for (let cursor: string | undefined, page = 0; page < 3; page++) {
    const { code, said } = await star('list', '--limit', '2', ...(cursor === undefined ? [] : ['--cursor', cursor]));
    expect(code).toBe(0);
    seen.push(...idsIn(said));
    cursor = /^more: --cursor (\S+)$/.exec(said.at(-1) ?? '')?.[1];
    expect(cursor === undefined).toBe(page === 2);
    expect(said[0]).toMatch(new RegExp(`waiting  search  ${topic}  tenant ${tenantId}  key ${tenantId}  .*out of order`));
  }
  expect(new Set(seen).size).toBe(5);
  for (const filter of [
    ['--topic', 'other'],
    ['--group', 'other'],
  ])
    expect(await star('list', ...filter)).toEqual({ code: 0, said: ['no dead letters'] });
  expect(idsIn((await star('list', '--topic', topic, '--group', 'search')).said)).toEqual(seen);
});

it('shows one with what it says, and hands it to its group again', async () => {
  const [recordId] = await dead(1);
  const [id = ''] = idsIn((await star('list')).said);
  const { code, said } = await star('show', id);
  expect([code, said.join('\n')]).toEqual([0, expect.stringContaining('East court')]);
  broken = false;
  expect(await star('replay', id)).toEqual({ code: 0, said: ['1 asked for again'] });
  await until(async () => (await bus.deadLetters('search')).length === 0);
  expect(handled).toEqual([recordId]);
  expect(await audited()).toMatchObject([
    { action: 'dead_letter.shown', subject: id },
    { action: 'dead_letter.replayed', subject: id },
  ]);
});

it('hands all of a topic to their groups again, once each, and ends although they fail again', async () => {
  const records = await dead(3);
  expect((await star('replay', '--topic', topic)).said).toEqual(['3 asked for again']);
  broken = false;
  await until(async () => {
    await star('replay', '--topic', topic);
    return (await bus.deadLetters('search')).length === 0;
  });
  expect([...handled].sort()).toEqual([...records].sort());
  expect((await star('replay', '--topic', topic)).said).toEqual(['0 asked for again']);
});

it('drops one for good, with the reason in the log', async () => {
  await dead(2);
  const [id = '', other] = idsIn((await star('list')).said);
  expect(await star('drop', id, '--reason', 'a test')).toEqual({ code: 0, said: [`${id}  dropped`] });
  expect(idsIn((await star('list')).said)).toEqual([other]);
  expect(await audited()).toMatchObject([{ action: 'dead_letter.dropped', subject: id }]);
  for (const args of [
    ['show', id],
    ['replay', 'nonsense'],
    ['drop', randomUUID(), '--reason', 'x'],
  ])
    expect(await star(...args)).toEqual({ code: 1, said: ['Star refused: bus.dead_letter_not_found'] });
  expect(await star('list', '--cursor', 'x')).toEqual({ code: 1, said: ['Star refused: bus.cursor_invalid'] });
});

it.each([
  [['drop', randomUUID()]],
  [['drop', randomUUID(), '--reason', ' ']],
  [['replay']],
  [['replay', randomUUID(), '--topic', topic]],
  [['show']],
  [['list', '--limit', '0']],
  [['list', '--limit', '1e3']],
  [['purge']],
])('is told when it is asked wrongly: %j', async (args) => {
  await expect(star(...args)).rejects.toThrow(UsageError);
});

it('says so where the bus is Kafka', async () => {
  const settings = commandSettings.parse({ STAR_DATABASE_URL: database.appUrl, STAR_KAFKA_BROKERS: 'x:1' });
  await expect(deadLettersCommand.run(['list'], { settings, say: () => undefined })).rejects.toThrow('Kafka');
});

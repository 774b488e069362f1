/** What expires of devices: real PostgreSQL. The clock is moved. */
import { randomUUID } from 'node:crypto';
import { keptFrom, type Removal, type Retention } from '@star/platform';
import { expireRejectedReports } from '../src/retention/expire-rejected-reports';
import { keepRejectedReport } from '../src/telemetry/rejected-report.store';
import { aWorld, type World } from './world';

let world: World;
let removals: Removal[];
const days = new Map<string, number>();
const going = new AbortController().signal;
const retention: Retention = {
  tenants: async () => [...days.keys()],
  daysOf: async (tenantId) => ({ version: 4, matches: 1, crops: 1, photos: 1, audit: 365, telemetry: days.get(tenantId) ?? 3650 }),
  record: async (_, removal) => void (removal.items > 0 && removals.push(removal)),
};

beforeAll(async () => {
  world = await aWorld();
});
afterAll(() => world?.close());
beforeEach(() => {
  removals = [];
});

it('rejected reports go by when they last came, tenant by tenant, and are reported', async () => {
  const [east, west] = world.tenants;
  const now = new Date();
  const { db } = world.database;
  const write = (tenantId: string, at: number, body: string) =>
    db.tenant(tenantId, async (tx) => {
      await keepRejectedReport(tx, { id: randomUUID(), tenantId, name: 'box' } as Parameters<typeof keepRejectedReport>[1], {
        key: 'task',
        body,
        reason: 'not one',
      });
      await tx.execute('UPDATE devices.rejected_reports SET last_at = $1 WHERE body = $2', [new Date(at), Buffer.from(body)]);
    });
  const from = keptFrom(now, 7).getTime();
  for (const tenantId of [east, west]) {
    await write(tenantId, from - 1, '12345');
    await write(tenantId, from, 'young');
  }
  days.set(east, 7);
  days.set(west, 8);
  const sweep = expireRejectedReports({ db, retention }, () => now);
  await Promise.all([sweep(east, 'run', going), sweep(east, 'run', going), sweep(west, 'run', going)]);
  const left = async (tenantId: string) =>
    (await db.tenant(tenantId, (tx) => tx.query<{ body: Buffer }>('SELECT body FROM devices.rejected_reports ORDER BY body'))).map(
      ({ body }) => body.toString(),
    );
  expect([await left(east), await left(west)]).toEqual([['young'], ['12345', 'young']]);
  expect(removals).toEqual([
    { tenantId: east, runId: 'run', kind: 'rejectedReports', at: now, before: new Date(from), settingsVersion: 4, items: 1, bytes: 5 },
  ]);
});

/** A consumer in a process of its own, for tests that kill it: handles a record, says so, and never comes to acknowledge it. */
import type { Topic } from '@stardipper/proto';
import type { Bus } from '../src/bus/bus';
import { firstTime } from '../src/bus/inbox.store';
import { openKafkaBus } from '../src/bus/kafka';
import { openPostgresBus } from '../src/bus/postgres-log';
import { openDatabase } from '../src/postgres/open-database';

export interface ChildOrders {
  readonly databaseUrl: string;
  readonly engine: { postgres: { leaseMs: number } } | { kafka: { brokers: string[]; sessionTimeoutMs: number } };
  readonly group: string;
  readonly topic: Topic;
  readonly tenantId: string;
  /** `hang`: handles once and never returns. `work`: handles everything. */
  readonly mode: 'hang' | 'work';
}

process.once('message', (orders: ChildOrders) => void run(orders));
process.once('disconnect', () => process.exit(0));

async function run(orders: ChildOrders): Promise<void> {
  const db = openDatabase({ url: orders.databaseUrl, poolSize: 4 });
  const bus: Bus =
    'postgres' in orders.engine
      ? await openPostgresBus({ db, pollMs: 100, ...orders.engine.postgres })
      : await openKafkaBus({ ...orders.engine.kafka });
  await bus.subscribe({
    group: orders.group,
    topics: [orders.topic],
    handle: async (record) => {
      if (record.tenantId !== orders.tenantId) return;
      const first = await db.tenant(record.tenantId, (tx) => firstTime(tx, orders.group, record.id));
      process.send?.({ handled: record.id, key: record.key, first });
      if (orders.mode === 'hang') await new Promise(() => {});
    },
  });
  process.send?.({ ready: true });
}

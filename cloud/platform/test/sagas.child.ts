/** A replica in a process of its own, for tests that kill it between and within the steps of a saga. */
import { AppError, createSagas, openDatabase, type SagaDefinition } from '../src';

export interface SagaOrders {
  readonly databaseUrl: string;
  readonly id: string;
  readonly tenantId: string;
  /** Where to hang until it is killed: `before do one`. */
  readonly stopAt?: string;
  /** The step that refuses. */
  readonly refuse: string;
}

process.once('message', (orders: SagaOrders) => void run(orders));
process.once('disconnect', () => process.exit(0));

async function run(orders: SagaOrders): Promise<void> {
  const db = openDatabase({ url: orders.databaseUrl, poolSize: 4 });
  const at = async (place: string) => {
    process.send?.({ at: place });
    if (place === orders.stopAt) await new Promise(() => {});
  };
  // Steps write a row of the outbox each, for want of a table of their own.
  const step = (name: string) => ({
    name,
    do: async () => {
      await at(`before do ${name}`);
      if (name === orders.refuse) throw new AppError('thing.refused', 'invalid');
      await db.tenant(orders.tenantId, (tx) =>
        tx.execute(
          `INSERT INTO platform.outbox (tenant_id, topic, key, headers, value) SELECT $1, $2, 'k', '{}', ''
           WHERE NOT EXISTS (SELECT 1 FROM platform.outbox WHERE tenant_id = $1 AND topic = $2)`,
          [orders.tenantId, name],
        ),
      );
      await at(`after do ${name}`);
    },
    undo: async () => {
      await at(`before undo ${name}`);
      await db.tenant(orders.tenantId, (tx) =>
        tx.execute('DELETE FROM platform.outbox WHERE tenant_id = $1 AND topic = $2', [orders.tenantId, name]),
      );
      await at(`after undo ${name}`);
    },
  });
  const names = orders.refuse ? ['one', 'two', orders.refuse] : ['one', 'two'];
  const definition = { kind: 'killed', steps: names.map(step) } as unknown as SagaDefinition;
  const sagas = createSagas({ db, definitions: [definition], leaseMs: 1_500, firstPauseMs: 10 });
  await db.tenant(orders.tenantId, (tx) => sagas.start(tx, { id: orders.id, kind: 'killed', tenantId: orders.tenantId, input: {} }));
  const stop = new AbortController();
  const running = sagas.run(stop.signal);
  for (;;) {
    const progress = await db.tenant(orders.tenantId, (tx) => sagas.progress(tx, orders.id));
    if (progress?.endedAt) {
      process.send?.({ ended: progress.state });
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  stop.abort();
  await running;
  await db.close();
  process.exit(0);
}

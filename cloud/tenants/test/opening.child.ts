/** A replica in a process of its own that opens a tenant, for tests that kill it between the steps. */
import { AppError } from '@star/platform';
import type { CreateTenant } from '@stardipper/proto';
import { openFirstTenant } from '../src/life/first-tenant';
import { openTenant } from '../src/life/open-tenant';
import { aPlatformOperator, openLifeDeps, watchedOpening } from './life-world';

export interface OpeningOrders {
  readonly databaseUrl: string;
  readonly folder: string;
  readonly key: string;
  readonly customer: CreateTenant & { id: string };
  /** It is the installation's first. */
  readonly first?: boolean;
  readonly stopAt?: string;
  /** The place where a step refuses for good. */
  readonly refuseAt?: string;
}

process.once('message', (orders: OpeningOrders) => void run(orders));
process.once('disconnect', () => process.exit(0));

async function run({ databaseUrl, folder, key, customer, first, stopAt, refuseAt }: OpeningOrders): Promise<void> {
  const deps = watchedOpening(await openLifeDeps(databaseUrl, folder), Buffer.from(key, 'hex'), async (place) => {
    process.send?.({ at: place });
    if (place === stopAt) await new Promise(() => {});
    if (place === refuseAt) throw new AppError('thing.refused', 'unprocessable');
  });
  const stop = new AbortController();
  const running = deps.sagas.run(stop.signal);
  if (first) void openFirstTenant(deps)(customer);
  else if (stopAt) await openTenant(deps)(aPlatformOperator, customer);
  for (;;) {
    const saga = await deps.database.system('test', (tx) => deps.sagas.latest(tx, customer.id, 'tenant.opening'));
    if (saga?.endedAt) {
      process.send?.({ ended: saga.state });
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  stop.abort();
  await running;
  process.exit(0);
}

import { type BusRecord, NotYet, type PartReport, type StepContext } from '@star/platform';
import type { PartService, TenantLifeDeps, WithSagas } from './ports';
import { readParts, writePartFinished, writePartRequest } from './tenant-life.store';

/** Asked again after this: an answer may have gone to the dead letters. */
const askAgainMs = 300_000;
const lookAgainMs = 60_000;

/** Of a step: asks the services for their part and answers their reports, once all have answered; waits until then. */
export async function partsOf(
  deps: Pick<TenantLifeDeps, 'database' | 'writeEvent' | 'now'>,
  context: Pick<StepContext, 'sagaId' | 'tenantId' | 'stillMine'>,
  action: 'prepare' | 'discard' | 'export' | 'remove',
  services: readonly PartService[],
  tenantName: string,
): Promise<Record<string, PartReport>> {
  const { sagaId, tenantId } = context;
  const reports = await deps.database.tenant(tenantId, async (tx) => {
    await context.stillMine(tx);
    const parts = new Map((await readParts(tx, sagaId, action)).map((part) => [part.service, part]));
    const now = deps.now();
    for (const service of services) {
      const part = parts.get(service);
      if (part && (part.finished_at || now.getTime() - part.requested_at.getTime() < askAgainMs)) continue;
      await writePartRequest(tx, tenantId, sagaId, action, service, now);
      await deps.writeEvent(tx, {
        topic: 'tenant.part.requested.v1',
        key: tenantId,
        tenantId,
        message: { tenantId, jobId: sagaId, action, service, tenantName },
      });
    }
    const done = services.filter((service) => parts.get(service)?.finished_at);
    return done.length === services.length ? Object.fromEntries(done.map((name) => [name, parts.get(name)?.report ?? {}])) : undefined;
  });
  if (!reports) throw new NotYet(lookAgainMs);
  return reports;
}

/** Handles `tenant.part.finished.v1`: the saga that waits goes on. */
export const finishPart =
  (deps: WithSagas) =>
  async (record: BusRecord<'tenant.part.finished.v1'>): Promise<void> => {
    const { jobId, action, service, reportJson } = record.message;
    await deps.database.tenant(record.tenantId, async (tx) => {
      if ((await writePartFinished(tx, jobId, action, service, JSON.parse(reportJson) as PartReport)) > 0) await deps.sagas.wake(tx, jobId);
    });
  };

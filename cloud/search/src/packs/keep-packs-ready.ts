import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, createLeases } from '@star/platform';
import type { SearchDeps } from '../ports';
import { sayOnce } from '../say-once';
import { searchError } from '../search.errors';
import { findOtherContent, listOpenAssignments, type OpenAssignment, putToUse, writeAssignmentRefusal } from './pack-assignment.store';

const leaseName = 'search.ready_packs';
const leaseMs = 15_000;
/** Tenants that are worked for side by side: one whose archive takes minutes must not hold up the others. */
const atOnce = 8;
const longestPauseMs = 300_000;

/**
 * Has every assigned pack opened once, and puts it to use for its tenant when it is good, in one replica, until `signal`
 * aborts. A pack that is no good leaves the tenant with the one before. What is left to do is read from the database.
 */
export async function keepPacksReady(deps: SearchDeps, signal: AbortSignal, onError?: (error: unknown) => void): Promise<void> {
  const work = async (_: number, leased: AbortSignal) => {
    const busy = new Map<string, Promise<void>>();
    const outage = sayOnce(onError);
    while (!leased.aborted) {
      try {
        const open = await deps.database.system('packs to make ready', (tx) => listOpenAssignments(tx, deps.now(), atOnce * 2));
        for (const assignment of open) {
          const { tenant_id: tenantId } = assignment;
          if (busy.size >= atOnce || busy.has(tenantId)) continue;
          const done = makeReady(deps, assignment)
            .catch(outage.failed)
            .then(() => void busy.delete(tenantId));
          busy.set(tenantId, done);
        }
        if (open.length === 0) outage.worked();
      } catch (error) {
        outage.failed(error);
      }
      await sleep(deps.settings.readyPacksEveryMs, undefined, { signal: leased }).catch(() => {});
    }
    await Promise.all(busy.values());
  };
  await createLeases(deps.database).lead(leaseName, leaseMs, work, signal, onError);
}

async function makeReady(deps: SearchDeps, assignment: OpenAssignment): Promise<void> {
  const { tenant_id: tenantId, package_id: packageId, archive_sha256: sha256, attempts } = assignment;
  const { database, embedders, settings } = deps;
  try {
    const pack = await embedders.of({ tenantId, packageId, sha256 }).packNow();
    await database.tenant(tenantId, async (tx) => {
      if (await findOtherContent(tx, tenantId, pack)) throw searchError('pack.id_taken', { packId: pack.packId });
      await putToUse(tx, assignment, pack);
    });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // That it takes its time is no reason to show, and it was waited for already.
    const preparing = error.code === 'embedder.preparing';
    const pauseMs = preparing ? 0 : Math.min(settings.embedBackoffMs * 2 ** Math.min(attempts, 20), longestPauseMs);
    const retryAt = error.retry ? new Date(deps.now().getTime() + pauseMs) : null;
    const refusal = preparing ? null : { code: error.code, params: error.params };
    await database.tenant(tenantId, (tx) => writeAssignmentRefusal(tx, assignment, refusal, retryAt));
  }
}

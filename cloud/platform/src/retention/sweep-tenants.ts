import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../postgres/database';
import { createLeases } from '../postgres/leases';
import type { Retention } from './retention';

/** One tenant's part of a sweep; must bear to be broken off anywhere and called again. Stop when `signal` aborts. */
export type SweepTenant = (tenantId: string, runId: string, signal: AbortSignal) => Promise<void>;

export interface SweepTenantsDeps {
  readonly retention: Pick<Retention, 'tenants'>;
  readonly sweepTenant: SweepTenant;
  /** What is done once for all of them, when they have been gone through. */
  readonly afterAll?: () => Promise<unknown>;
  /** Hears what failed; the next sweep tries it again. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Once through all tenants; one that fails is reported and does not keep the others waiting. Answers how many failed. */
export async function sweepTenants({ retention, sweepTenant, afterAll, onError }: SweepTenantsDeps, signal: AbortSignal): Promise<number> {
  const runId = randomUUID();
  let failed = 0;
  const fail = (error: unknown) => {
    failed += 1;
    onError?.(error);
  };
  for (const tenantId of await retention.tenants()) {
    if (signal.aborted) return failed;
    await sweepTenant(tenantId, runId, signal).catch(fail);
  }
  await afterAll?.().catch(fail);
  return failed;
}

/** Sweeps at once and then every `everyMs`, in one replica at a time, until `signal` aborts. */
export function keepSweepingTenants(
  deps: SweepTenantsDeps & { readonly database: Database; readonly service: string; readonly everyMs: number },
  signal: AbortSignal,
): Promise<void> {
  return createLeases(deps.database).lead(
    `${deps.service}.retention`,
    60_000,
    async (_fence, leased) => {
      while (!leased.aborted) {
        await sweepTenants(deps, leased);
        await sleep(deps.everyMs, undefined, { signal: leased }).catch(() => {});
      }
    },
    signal,
    deps.onError,
  );
}

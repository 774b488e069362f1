import type { SagaProgress } from '@star/platform';
import type { Page, Tenant, TenantDetail, TenantJob, TenantState } from '@stardipper/proto';
import { afterCursor, cursorAt } from '../age-cursor';
import { tenantError } from '../tenants.errors';
import type { Opening, WithSagas } from './ports';
import { findTenant, listTenants, type TenantRow } from './tenant-life.store';

export const shownTenant = (row: TenantRow): Tenant => ({
  id: row.tenant_id,
  name: row.name,
  kind: row.kind,
  state: row.state,
  reason: row.reason,
  createdAt: row.created_at.toISOString(),
  stateSince: row.state_since.toISOString(),
  deleteAfter: row.delete_after?.toISOString() ?? null,
});

export const shownJob = ({ id, kind, state, failure, steps }: SagaProgress): TenantJob => ({
  id,
  kind,
  state,
  failure,
  steps: steps.map(({ name, state: at, attempts, error }) => ({ name, state: at, attempts, error })),
});

/** Newest first. A cursor that is none throws a ZodError, which the HTTP side answers as `request.invalid`. */
export const readTenants =
  (deps: Pick<WithSagas, 'database'>) =>
  async (query: { cursor?: string; limit: number; state?: TenantState; name?: string }): Promise<Page<Tenant>> => {
    const before = afterCursor(query.cursor);
    const filter = { ...(before && { before }), ...(query.state && { state: query.state }), ...(query.name && { name: query.name }) };
    const rows = await deps.database.system('list tenants', (tx) => listTenants(tx, filter, query.limit + 1));
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map(shownTenant),
      nextCursor: rows.length > page.length && last ? cursorAt({ micros: last.micros, id: last.tenant_id }) : null,
    };
  };

/** With the newest of opening or removing it. A tenant that could not be opened is `failed` for as long as its saga is kept. */
export const readTenant =
  (deps: Pick<WithSagas, 'database' | 'sagas'>) =>
  (tenantId: string): Promise<TenantDetail> =>
    deps.database.system('look at a tenant', async (tx) => {
      const row = await findTenant(tx, tenantId);
      const job = (await deps.sagas.latest(tx, tenantId, 'tenant.removal')) ?? (await deps.sagas.latest(tx, tenantId, 'tenant.opening'));
      if (row) return { ...shownTenant(row), job: job ? shownJob(job) : null, report: row.removal };
      if (job?.kind !== 'tenant.opening') throw tenantError('tenant.not_found', { tenantId });
      const at = (job.endedAt ?? job.createdAt).toISOString();
      return {
        id: tenantId,
        name: (job.input as Opening).name,
        kind: 'customer',
        state: 'failed',
        reason: null,
        createdAt: job.createdAt.toISOString(),
        stateSince: at,
        deleteAfter: null,
        job: shownJob(job),
        report: null,
      };
    });

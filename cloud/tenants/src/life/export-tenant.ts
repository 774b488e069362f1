import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import {
  type Caller,
  exportRows,
  maxExportBytes,
  type PartReport,
  type SagaDefinition,
  type SagaStep,
  type StepContext,
  who,
  writeExport,
} from '@star/platform';
import { objectKeys, type TenantExport } from '@stardipper/proto';
import { tenantError } from '../tenants.errors';
import { partsOf } from './parts';
import { partServices, type TenantLifeDeps, type WithSagas } from './ports';
import { shownJob } from './read-tenants';
import { tarHeader, tarPadding } from './tar';
import { findTenant, forgetParts, lockTenant, type TenantRow } from './tenant-life.store';

export const exportKind = 'tenant.export';

interface Export {
  readonly tenantId: string;
  readonly name: string;
}

const urlLifeS = 3600;

/**
 * Begins to collect the tenant's rows; while one export is at work another is not begun. Throws `tenant.not_found`, and
 * `tenant.wrong_state` for one that is being opened or removed.
 */
export const exportTenant =
  (deps: WithSagas) =>
  async (caller: Caller, tenantId: string): Promise<TenantExport> => {
    await deps.database.system('export a tenant', async (tx) => {
      // Under the lock there is no second one, and none that begins while the removal does.
      const row = await lockTenant(tx, tenantId);
      if (!row) throw tenantError('tenant.not_found', { tenantId });
      requireExportable(row);
      const last = await deps.sagas.latest(tx, tenantId, exportKind);
      if (last && !last.endedAt) return;
      await deps.sagas.start(tx, { id: randomUUID(), kind: exportKind, tenantId, input: { tenantId, name: row.name } satisfies Export });
      for (const log of new Set([caller.tenantId, tenantId]))
        await deps.audit(tx, { ...who(caller), tenantId: log, action: 'tenant.exported', subject: tenantId });
    });
    return readExport(deps)(caller, tenantId);
  };

function requireExportable({ state }: Pick<TenantRow, 'state'>): void {
  if (!['enabled', 'disabled', 'deleting'].includes(state)) throw tenantError('tenant.wrong_state', { state });
}

/** The newest export. That its address was handed out is recorded: everybody's faces are in it. Throws `tenant.not_exported`. */
export const readExport =
  (deps: Pick<WithSagas, 'database' | 'sagas' | 'objects' | 'audit'>) =>
  async (caller: Caller, tenantId: string): Promise<TenantExport> => {
    const job = await deps.database.system('look at an export', (tx) => deps.sagas.latest(tx, tenantId, exportKind));
    if (!job) throw tenantError('tenant.not_exported', { tenantId });
    const archive = job.steps.find((step) => step.name === 'archive');
    const made = archive?.state === 'done' ? (archive.result as Archive) : undefined;
    const there = made && (await deps.objects.head(tenantId, made.key));
    if (there)
      await deps.database.system('record a look at an export', async (tx) => {
        for (const log of new Set([caller.tenantId, tenantId]))
          await deps.audit(tx, {
            ...who(caller),
            tenantId: log,
            action: 'export.viewed',
            subject: tenantId,
            details: { exportId: job.id },
          });
      });
    return {
      job: shownJob(job),
      url: made && there ? await deps.objects.signedUrl(tenantId, made.key, 'GET', { expiresInS: urlLifeS }) : null,
      sizeBytes: there?.sizeBytes ?? null,
      rows: made?.rows ?? {},
    };
  };

interface Archive {
  readonly key: string;
  readonly rows: Readonly<Record<string, number>>;
}

export const exportSaga = (deps: TenantLifeDeps): SagaDefinition<Export> => {
  const { database, objects } = deps;
  const forget = async ({ tenantId }: Export, { sagaId, stillMine }: StepContext) => {
    await objects.delete(tenantId, objectKeys.exportArchive(tenantId, sagaId));
    for (const service of [...partServices, 'tenants', 'users'])
      await objects.delete(tenantId, objectKeys.exported(tenantId, sagaId, `${service}.jsonl.gz`));
    await database.tenant(tenantId, async (tx) => {
      await stillMine(tx);
      await forgetParts(tx, sagaId);
    });
  };
  const step = (name: string, work: SagaStep<Export>['do']): SagaStep<Export> => ({
    name,
    do: async (input, context) => {
      const { tenantId } = input;
      const row = await database.tenant(tenantId, (tx) => findTenant(tx, tenantId));
      if (!row) throw tenantError('tenant.not_found', { tenantId });
      requireExportable(row);
      return work(input, context);
    },
    undo: forget,
  });
  return {
    kind: exportKind,
    steps: [
      step('services', ({ name }, context) => partsOf(deps, context, 'export', partServices, name)),
      step('tenants', ({ tenantId }, { sagaId }) => exportRows({ database, objects, service: 'tenants' }, tenantId, sagaId)),
      step('users', ({ tenantId }, { sagaId }) =>
        writeExport(objects, tenantId, sagaId, 'users', (write) => write(usersOf(deps, tenantId))),
      ),
      step('archive', ({ tenantId }, context) => pack(deps, tenantId, context)),
    ],
  };
};

/** As the identity provider tells them, which keeps passwords to itself. */
async function* usersOf({ identity }: TenantLifeDeps, tenantId: string) {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Awaited<ReturnType<typeof identity.listUsers>> = await identity.listUsers(tenantId, {
      limit: 200,
      ...(cursor && { cursor }),
    });
    yield { table: 'users', rows: page.items.map((user) => JSON.stringify({ tenantId, ...user })) };
    cursor = page.nextCursor;
  }
}

/** What a tenant's own people put there, or boxes for them; all else in storage is made from rows. */
const exportedFolders = ['people', 'crops'] as const;

/** One tar of what the services wrote, a file each, and of photos and crops; streamed, since nobody knows how large a tenant is. */
async function pack({ objects }: TenantLifeDeps, tenantId: string, { sagaId, results }: StepContext): Promise<Archive> {
  const parts: Record<string, PartReport> = {
    ...(results.services as object),
    tenants: results.tenants as PartReport,
    users: results.users as PartReport,
  };
  const key = objectKeys.exportArchive(tenantId, sagaId);
  let files = 0;
  const archive = async function* () {
    for (const [service, { key: part, bytes = 0 }] of Object.entries(parts).sort()) {
      const object = part === undefined ? undefined : await objects.get(tenantId, part);
      if (!object) throw tenantError('tenant.export_incomplete', { service });
      yield tarHeader(`${service}.jsonl`, bytes);
      yield* object.body.pipe(createGunzip());
      yield tarPadding(bytes);
    }
    for (const folder of exportedFolders) {
      for await (const { key: listed } of objects.list(tenantId, folder)) {
        const object = await objects.get(tenantId, listed);
        // Deleted meanwhile.
        if (!object) continue;
        const { sizeBytes } = object.info;
        yield tarHeader(listed.slice(tenantId.length + 1), sizeBytes);
        yield* object.body;
        yield tarPadding(sizeBytes);
        files += 1;
      }
    }
    yield Buffer.alloc(1024);
  };
  await objects.put(tenantId, key, Readable.from(archive()).pipe(createGzip()), 'application/gzip', { maxBytes: maxExportBytes });
  for (const { key: part } of Object.values(parts)) if (part) await objects.delete(tenantId, part);
  const rows = Object.assign({}, ...Object.values(parts).map((part) => part.rows ?? {})) as Record<string, number>;
  return { key, rows: { ...rows, ...(files > 0 && { files }) } };
}

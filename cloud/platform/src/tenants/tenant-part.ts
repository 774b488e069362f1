import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { objectKeys } from '@stardipper/proto';
import type { BusRecord, FirstTime, WriteEvent } from '../bus/bus';
import { defineErrors } from '../errors/app-error';
import type { Objects } from '../objects/objects';
import type { Database, Tx } from '../postgres/database';
import { readTenantRows, removeTenantRows } from './tenant-rows.store';

export interface TenantPartDeps {
  readonly database: Database;
  readonly objects: Pick<Objects, 'put'>;
  readonly writeEvent: WriteEvent;
  readonly firstTime: FirstTime;
  /** Name of the service and of its schema. */
  readonly service: string;
  /** Both must bear to be called again. */
  readonly prepare: (tx: Tx, tenantId: string, name: string) => Promise<void>;
  readonly discard: (tx: Tx, tenantId: string) => Promise<void>;
  /** The tenant's rows that lie outside PostgreSQL, as JSON, for an export. */
  readonly readOutside?: (tenantId: string) => AsyncIterable<ExportedRows>;
  /** Answers how much by name. Must bear to be called again. */
  readonly removeOutside?: (tenantId: string) => Promise<Record<string, number>>;
}

export const tenantPartErrors = defineErrors({ 'tenant.part_unknown': 'unprocessable' });

/** What a service tells of its part. */
export interface PartReport {
  readonly rows?: Readonly<Record<string, number>>;
  readonly outside?: Readonly<Record<string, number>>;
  /** Of an export: the object, and its size unpacked. */
  readonly key?: string;
  readonly bytes?: number;
}

export interface ExportedRows {
  readonly table: string;
  /** JSON. */
  readonly rows: readonly string[];
}

/** A tenant's rows and files may be more than any object that somebody uploads. */
export const maxExportBytes = 2 ** 40;

/**
 * A service's part in opening, exporting and removing a tenant. Handles `tenant.part.requested.v1` meant for it and
 * answers `tenant.part.finished.v1` in the transaction that did it; asked again with another record it answers again.
 */
export const doTenantPart = (deps: TenantPartDeps) => {
  const { database, service } = deps;
  return async (record: BusRecord<'tenant.part.requested.v1'>): Promise<void> => {
    const { tenantId, message } = record;
    if (message.service !== service) return;
    const { action, jobId, tenantName } = message;
    // The slow parts first: they can be done again, and the transaction stays short.
    const outside = action === 'remove' ? ((await deps.removeOutside?.(tenantId)) ?? {}) : {};
    const exported = action === 'export' ? await exportRows(deps, tenantId, jobId) : {};
    await database.tenant(tenantId, async (tx) => {
      if (!(await deps.firstTime(tx, `${service}.tenant-parts`, record.id))) return;
      const report = { outside, ...exported, ...(await inTransaction(deps, tx, tenantId, action, tenantName)) };
      await deps.writeEvent(tx, {
        topic: 'tenant.part.finished.v1',
        key: tenantId,
        tenantId,
        message: { tenantId, jobId, action, service, reportJson: JSON.stringify(report) },
      });
    });
  };
};

async function inTransaction(deps: TenantPartDeps, tx: Tx, tenantId: string, action: string, name: string): Promise<PartReport> {
  switch (action) {
    case 'prepare':
      await deps.prepare(tx, tenantId, name);
      return {};
    case 'discard':
      await deps.discard(tx, tenantId);
      return {};
    case 'remove':
      return { rows: await removeTenantRows(tx, deps.service) };
    case 'export':
      return {};
    default:
      throw tenantPartErrors.error('tenant.part_unknown', { action });
  }
}

export interface ExportedPart {
  readonly key: string;
  readonly bytes: number;
  readonly rows: Readonly<Record<string, number>>;
}

/** All rows of the tenant that a service keeps. */
export const exportRows = (
  deps: Pick<TenantPartDeps, 'database' | 'objects' | 'service' | 'readOutside'>,
  tenantId: string,
  jobId: string,
): Promise<ExportedPart> =>
  writeExport(deps.objects, tenantId, jobId, deps.service, async (write) => {
    await deps.database.tenant(tenantId, (tx) => write(readTenantRows(tx, deps.service)));
    // The database ends a transaction that idles for a minute, and what lies outside may take hours to read.
    if (deps.readOutside) await write(deps.readOutside(tenantId));
  });

type WriteRows = (pages: AsyncIterable<ExportedRows>) => Promise<void>;

/**
 * JSON lines `{"table","row"}`, gzipped, stored while `fill` writes them: memory does not grow with the tenant. Rejects
 * with what `fill` or the store rejects with, and then there is no object.
 */
export async function writeExport(
  objects: TenantPartDeps['objects'],
  tenantId: string,
  jobId: string,
  part: string,
  fill: (write: WriteRows) => Promise<void>,
): Promise<ExportedPart> {
  const key = objectKeys.exported(tenantId, jobId, `${part}.jsonl.gz`);
  const rows: Record<string, number> = {};
  let bytes = 0;
  const lines = async function* (pages: AsyncIterable<ExportedRows>) {
    for await (const page of pages) {
      rows[page.table] = (rows[page.table] ?? 0) + page.rows.length;
      const text = page.rows.map((row) => `{"table":"${page.table}","row":${row}}\n`).join('');
      bytes += Buffer.byteLength(text);
      yield text;
    }
  };
  const zip = createGzip();
  // Either one's failure ends the other.
  const failed = (error: unknown) => {
    zip.destroy();
    throw error;
  };
  await Promise.all([
    fill((pages) => pipeline(Readable.from(lines(pages)), zip, { end: false })).then(() => zip.end(), failed),
    objects.put(tenantId, key, zip, 'application/gzip', { maxBytes: maxExportBytes }).catch(failed),
  ]);
  return { key, bytes, rows };
}

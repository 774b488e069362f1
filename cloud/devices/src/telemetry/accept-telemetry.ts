import { createHash, randomUUID } from 'node:crypto';
import type { BusRecord, Database, Log } from '@star/platform';
import { recorderReport, reportKeys, taskReport } from '@stardipper/proto';
import type { z } from 'zod';
import type { EdgeIdentity } from '../edges/edge';
import type { TelemetryEntry } from '../hub/payloads';
import { type BusBatcher, isRefusal } from './bus-batcher';
import { keepRejectedReport, type RejectedReport } from './rejected-report.store';

export interface TelemetryDeps {
  readonly db: Database;
  readonly batcher: BusBatcher;
  readonly log: Log;
}

/** What a record costs in memory besides its body; a message may hold thousands of tiny ones. */
const recordBytes = 1000;

interface Read {
  readonly records: BusRecord[];
  readonly rejected: RejectedReport[];
  bytes: number;
}

/**
 * Resolves when everything in the message is durable: plain values and good reports on the bus, reports that do not
 * fit their schema in `rejected_reports` with the reason, since refusing them would make the box send them for ever.
 */
export const acceptTelemetry =
  ({ db, batcher, log }: TelemetryDeps) =>
  async (edge: EdgeIdentity, entries: readonly TelemetryEntry[]): Promise<void> => {
    const read: Read = { records: [], rejected: [], bytes: 0 };
    for (const entry of entries) readEntry(edge, entry, read);
    read.bytes += read.records.length * recordBytes;
    if (read.records.length > 0) await append(batcher, read);
    if (read.rejected.length === 0) return;
    log.warn({ edgeId: edge.id, reasons: read.rejected.map((r) => r.reason) }, 'reports were rejected');
    await db.tenant(edge.tenantId, async (tx) => {
      for (const report of read.rejected) await keepRejectedReport(tx, edge, report);
    });
  };

/** All at once; when the bus will not have them, one by one, so that only the one at fault is rejected. */
async function append(batcher: BusBatcher, read: Read): Promise<void> {
  try {
    await batcher.append(read.records, read.bytes);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    for (const record of read.records) {
      await batcher.append([record], read.bytes).catch((refusal: unknown) => {
        if (!isRefusal(refusal)) throw refusal;
        read.rejected.push({ key: record.topic, body: JSON.stringify(record.message), reason: (refusal as Error).message });
      });
    }
  }
}

function readEntry(edge: EdgeIdentity, entry: TelemetryEntry, into: Read): void {
  const occurredAt = new Date(entry.tsMs);
  const base = { tenantId: edge.tenantId, occurredAt };
  const values = new Map(entry.values);
  const task = takeReport(values, reportKeys.task, taskReport, into);
  if (task) {
    const { id, taskId } = task.report;
    into.records.push({
      ...base,
      topic: 'search.progressed.v1',
      key: taskId,
      id: `${edge.id}:${id}`,
      message: { edgeId: edge.id, reportId: id, taskId, bodyJson: task.bodyJson, reportedAtMs: entry.tsMs },
    } satisfies BusRecord<'search.progressed.v1'>);
  }
  const recorder = takeReport(values, reportKeys.recorder, recorderReport, into);
  if (recorder) {
    const { id, recorderId } = recorder.report;
    into.records.push({
      ...base,
      topic: 'device.recorder.reported.v1',
      key: edge.id,
      id: `${edge.id}:${id}`,
      message: { edgeId: edge.id, reportId: id, recorderId, bodyJson: recorder.bodyJson, reportedAtMs: entry.tsMs },
    } satisfies BusRecord<'device.recorder.reported.v1'>);
  }
  if (values.size === 0) return;
  const valuesJson = JSON.stringify(Object.fromEntries(values));
  into.bytes += valuesJson.length;
  into.records.push({
    ...base,
    topic: 'device.telemetry.v1',
    key: edge.id,
    id: telemetryId(edge.id, entry, valuesJson),
    message: { edgeId: edge.id, tsMs: entry.tsMs, valuesJson },
  } satisfies BusRecord<'device.telemetry.v1'>);
}

/**
 * Takes a report out of the values and leaves its id in its place: `device.telemetry.v1` says that it came, and the
 * body, up to 64 KB, is on the bus once.
 */
function takeReport<R extends { id: string }>(
  values: Map<string, unknown>,
  key: string,
  schema: z.ZodType<R>,
  into: Read,
): { report: R; bodyJson: string } | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  const bodyJson = JSON.stringify(value);
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    values.delete(key);
    into.rejected.push({
      key,
      body: bodyJson,
      reason: parsed.error.issues.map((issue) => `/${issue.path.join('/')} ${issue.code}: ${issue.message}`).join('; '),
    });
    return undefined;
  }
  values.set(key, parsed.data.id);
  into.bytes += bodyJson.length;
  return { report: parsed.data, bodyJson };
}

/** A repetition of the same timed values is the same record; values without a time of their own get a new one every time. */
function telemetryId(edgeId: string, entry: TelemetryEntry, valuesJson: string): string {
  if (!entry.timed) return randomUUID();
  return createHash('sha256').update(`${edgeId}\0${entry.tsMs}\0${valuesJson}`).digest('base64url');
}

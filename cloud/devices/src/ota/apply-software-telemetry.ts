import type { Database, Log, WriteEvents } from '@star/platform';
import { type SoftwareTelemetry, softwareTelemetry } from '@stardipper/proto';
import type { EdgeIdentity } from '../edges/edge';
import type { TelemetryEntry } from '../hub/payloads';
import { announceSoftware } from './announce-software';
import { type EdgeSoftwareRow, lockEdgeSoftware, saveEdgeSoftware } from './assignment.store';

export interface ApplyTelemetryDeps {
  readonly db: Database;
  readonly writeEvents: WriteEvents;
  readonly log: Log;
}

const keys = Object.keys(softwareTelemetry.shape);
const maxNameLength = 255;

/**
 * What a box says of its software, among its other telemetry, becomes what operators see, before the box gets its
 * PUBACK. What it says about a package that is not (or no longer) assigned is no state of the assigned one.
 */
export const applySoftwareTelemetry =
  ({ db, writeEvents, log }: ApplyTelemetryDeps) =>
  async (edge: EdgeIdentity, entries: readonly TelemetryEntry[]): Promise<void> => {
    const said = entries.flatMap(({ tsMs, values }) => {
      const own = keys.flatMap((key) => (values.has(key) ? [[key, asText(values.get(key))] as const] : []));
      if (own.length === 0) return [];
      const parsed = softwareTelemetry.safeParse(Object.fromEntries(own));
      if (parsed.success) return [{ tsMs, word: parsed.data }];
      // It is on the bus as plain telemetry all the same.
      log.warn({ edgeId: edge.id, values: Object.fromEntries(own) }, 'a box says of its software what makes no sense');
      return [];
    });
    if (said.length === 0) return;
    said.sort((a, b) => a.tsMs - b.tsMs);
    await db.tenant(edge.tenantId, async (tx) => {
      let row = await lockEdgeSoftware(tx, edge.id);
      if (!row) return;
      for (const { tsMs, word } of said) {
        // Nobody reports from the future: a clock that is ahead must not silence its box once it is put right.
        const next = after(row, new Date(Math.min(tsMs, Date.now())), word);
        if (!next) continue;
        await saveEdgeSoftware(tx, edge.id, next);
        const changed = shown(next) !== shown(row);
        row = { ...next, changed_at: new Date() };
        if (changed) await announceSoftware(tx, writeEvents, [row]);
      }
    });
  };

/** Numbers are what the hub makes of a text of digits, wherever it has not been told better. */
const asText = (value: unknown) =>
  typeof value === 'number' || typeof value === 'string' ? String(value).replaceAll('\0', '').slice(0, maxNameLength) : value;

const shown = (row: EdgeSoftwareRow) => JSON.stringify([row.state, row.error, row.current_title, row.current_version]);

/** Undefined for a word older than one already heard. */
function after(row: EdgeSoftwareRow, at: Date, word: SoftwareTelemetry): EdgeSoftwareRow | undefined {
  if (row.reported_at && row.reported_at > at) return undefined;
  const next = {
    ...row,
    reported_at: at,
    current_title: word.current_sw_title ?? row.current_title,
    current_version: word.current_sw_version ?? row.current_version,
  };
  const { sw_state: state } = word;
  if (state === undefined || state === 'QUEUED' || state === 'INITIATED' || row.target_title === null) return next;
  const other =
    word.current_sw_title !== undefined && !(next.current_title === row.target_title && next.current_version === row.target_version);
  // It has finished with what was assigned before.
  if (state === 'UPDATED' && other) return next;
  return { ...next, state, error: state === 'FAILED' ? (word.sw_error ?? '') : null };
}

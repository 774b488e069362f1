import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { RecorderReport } from '@stardipper/proto';

export interface RecorderRow {
  id: string;
  edge_id: string;
  name: string;
  kind: string;
  base_url: string;
  username: string;
  password_sealed: Buffer;
  max_sessions: number;
  time_mode: string;
  time_zone: string;
  reachable: boolean | null;
  error_code: string | null;
  clock_offset_ms: number | null;
  model: string | null;
  checked_at: Date | null;
  cameras_refused: number;
}

export const recorderColumns = `r.id, r.edge_id, r.name, r.kind, r.base_url, r.username, r.password_sealed, r.max_sessions, r.time_mode, r.time_zone,
  r.reachable, r.error_code, r.clock_offset_ms, r.model, r.checked_at, r.cameras_refused`;

/** What an operator sets. */
export interface RecorderSettings {
  readonly name: string;
  readonly kind: string;
  readonly baseUrl: string;
  readonly username: string;
  readonly passwordSealed: Buffer;
  readonly maxSessions: number;
  readonly timeMode: string;
  readonly timeZone: string;
}

export async function insertRecorder(
  tx: Tx,
  id: string,
  edge: { tenantId: string; id: string },
  settings: RecorderSettings,
): Promise<RecorderRow> {
  const [row] = await tx.query<RecorderRow>(
    `INSERT INTO devices.recorders AS r (id, tenant_id, edge_id, name, kind, base_url, username, password_sealed, max_sessions, time_mode, time_zone)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING ${recorderColumns}`,
    [
      id,
      edge.tenantId,
      edge.id,
      settings.name,
      settings.kind,
      settings.baseUrl,
      settings.username,
      settings.passwordSealed,
      settings.maxSessions,
      settings.timeMode,
      settings.timeZone,
    ],
  );
  return row as RecorderRow;
}

/** Changes what is given and leaves the rest; undefined when the tenant has no such recorder. */
export async function updateRecorder(tx: Tx, id: string, settings: Partial<RecorderSettings>): Promise<RecorderRow | undefined> {
  const [row] = await tx.query<RecorderRow>(
    `UPDATE devices.recorders r SET name = coalesce($2, name), base_url = coalesce($3, base_url), username = coalesce($4, username),
       password_sealed = coalesce($5, password_sealed), max_sessions = coalesce($6, max_sessions), time_mode = coalesce($7, time_mode),
       time_zone = coalesce($8, time_zone)
     WHERE r.id = $1 RETURNING ${recorderColumns}`,
    [
      id,
      settings.name ?? null,
      settings.baseUrl ?? null,
      settings.username ?? null,
      settings.passwordSealed ?? null,
      settings.maxSessions ?? null,
      settings.timeMode ?? null,
      settings.timeZone ?? null,
    ],
  );
  return row;
}

/** One whose edge is within the scope. @param lock nobody else changes it until the transaction ends */
export async function findRecorder(tx: Tx, id: string, scope: AreaScope, lock = false): Promise<RecorderRow | undefined> {
  const [row] = await tx.query<RecorderRow>(
    `SELECT ${recorderColumns} FROM devices.recorders r JOIN devices.edges e ON e.id = r.edge_id
     WHERE r.id = $1 AND ($2::uuid[] IS NULL OR e.area_id = ANY ($2)) ${lock ? 'FOR UPDATE OF r' : ''}`,
    [id, scopeIds(scope)],
  );
  return row;
}

/** With its cameras. Answers the edge it belonged to. */
export async function deleteRecorder(tx: Tx, id: string): Promise<string | undefined> {
  const [row] = await tx.query<{ edge_id: string }>('DELETE FROM devices.recorders WHERE id = $1 RETURNING edge_id', [id]);
  return row?.edge_id;
}

/** Ids may be anything a device asked for. */
export async function recordersOfEdge(tx: Tx, edgeId: string, ids: readonly string[] | 'all'): Promise<RecorderRow[]> {
  return tx.query<RecorderRow>(
    `SELECT ${recorderColumns} FROM devices.recorders r
     WHERE r.edge_id = $1 AND ($2::text[] IS NULL OR r.id::text = ANY ($2::text[])) ORDER BY r.created_at, r.id`,
    [edgeId, ids === 'all' ? null : ids],
  );
}

export async function noteRefusedCameras(tx: Tx, recorderId: string, cameras: number): Promise<void> {
  await tx.execute('UPDATE devices.recorders SET cameras_refused = $2 WHERE id = $1 AND cameras_refused <> $2', [recorderId, cameras]);
}

/** PostgreSQL keeps no NUL in text, and a recorder may report anything. */
const clean = (text: string) => text.replaceAll('\0', '');

/** What the box found; false when this edge has no such recorder. */
export async function saveRecorderStatus(tx: Tx, edgeId: string, report: RecorderReport): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE devices.recorders SET reachable = $3, error_code = $4, clock_offset_ms = $5, checked_at = to_timestamp($6 / 1000.0),
       model = coalesce(nullif($7, ''), model), serial_number = coalesce(nullif($8, ''), serial_number), firmware = coalesce(nullif($9, ''), firmware)
     WHERE id::text = $1 AND edge_id = $2`,
    [
      report.recorderId,
      edgeId,
      report.reachable,
      report.error ? clean(report.error.code) : null,
      Math.trunc(report.clockOffsetMs),
      report.checkedAt,
      clean(report.model),
      clean(report.serialNumber),
      clean(report.firmware),
    ],
  );
  return changed > 0;
}

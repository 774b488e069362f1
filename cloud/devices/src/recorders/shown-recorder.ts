import type { Recorder } from '@stardipper/proto';
import type { RecorderRow } from './recorder.store';

/** As operators see it: never with its password. */
export const shownRecorder = (row: RecorderRow): Recorder => ({
  id: row.id,
  edgeId: row.edge_id,
  name: row.name,
  kind: row.kind,
  baseUrl: row.base_url,
  username: row.username,
  maxSessions: row.max_sessions,
  reachable: row.reachable,
  errorCode: row.error_code,
  clockOffsetMs: row.clock_offset_ms,
  model: row.model,
  checkedAt: row.checked_at?.toISOString() ?? null,
  camerasRefused: row.cameras_refused,
});

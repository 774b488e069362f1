import type { Tx } from '@star/platform';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';
import { type RecorderRow, recorderColumns } from './recorder.store';
import { shownRecorder } from './shown-recorder';

export async function listRecorders(tx: Tx, edgeId: string, { cursor, limit }: PageRequest) {
  const after = afterCursor(cursor);
  const rows = await tx.query<RecorderRow & { cursor_micros: string }>(
    `SELECT ${recorderColumns}, ${cursorMicros('r')} FROM devices.recorders r
     WHERE r.edge_id = $3 AND ${afterCondition('r', '$1', '$2')} ORDER BY r.created_at, r.id LIMIT $4`,
    [after.micros, after.id, edgeId, limit + 1],
  );
  return pageOf(rows, limit, shownRecorder);
}

import type { SecretBox, Tx } from '@star/platform';
import { type RecorderConfig, recorderAttributePrefix } from '@stardipper/proto';
import { recordersOfEdge } from './recorder.store';

/** The shared attributes `recorder.<id>` of an edge: everything the box needs to use its recorders, passwords in the open. */
export async function recorderAttributes(
  tx: Tx,
  secrets: SecretBox,
  edgeId: string,
  keys: readonly string[] | 'all',
): Promise<Map<string, RecorderConfig>> {
  const wanted =
    keys === 'all'
      ? 'all'
      : keys.filter((key) => key.startsWith(recorderAttributePrefix)).map((key) => key.slice(recorderAttributePrefix.length));
  if (wanted !== 'all' && wanted.length === 0) return new Map();
  const rows = await recordersOfEdge(tx, edgeId, wanted);
  return new Map(
    rows.map((row) => [
      recorderAttributePrefix + row.id,
      {
        id: row.id,
        kind: row.kind as RecorderConfig['kind'],
        baseUrl: row.base_url,
        username: row.username,
        password: secrets.open(row.password_sealed, row.id),
        maxSessions: row.max_sessions,
        timeMode: row.time_mode as RecorderConfig['timeMode'],
        timeZone: row.time_zone,
      },
    ]),
  );
}

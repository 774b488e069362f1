import type { Tx } from '@star/platform';

/** SQL: whether the edge of `alias` has a session on a hub that is alive. The one definition of "online". */
export const onlineSql = (alias: string) =>
  `EXISTS (SELECT 1 FROM devices.hubs h WHERE h.id = ${alias}.hub_id AND h.lease_until > clock_timestamp())`;

export interface PresenceRow {
  readonly edgeId: string;
  readonly tenantId: string;
}

/** Renews the lease; true when it had run out or was never there: other hubs may have declared this one dead meanwhile. */
export async function renewLease(tx: Tx, hubId: string, leaseMs: number): Promise<boolean> {
  const [row] = await tx.query<{ lapsed: boolean }>(
    `WITH before AS (SELECT lease_until FROM devices.hubs WHERE id = $1)
     INSERT INTO devices.hubs (id, lease_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
     ON CONFLICT ON CONSTRAINT hubs_pkey DO UPDATE SET lease_until = excluded.lease_until
     RETURNING coalesce((SELECT lease_until FROM before) < clock_timestamp(), true) AS lapsed`,
    [hubId, leaseMs],
  );
  return row?.lapsed ?? true;
}

/** This hub is no more, and whatever still names it is offline. */
export async function releaseLease(tx: Tx, hubId: string): Promise<void> {
  await tx.execute(`UPDATE devices.hubs SET lease_until = '-infinity' WHERE id = $1`, [hubId]);
}

/** Marks up to `limit` edges of dead hubs offline and answers them; dead hubs without edges are removed. */
export async function evictDeadHubs(tx: Tx, limit: number): Promise<PresenceRow[]> {
  const rows = await tx.query<{ id: string; tenant_id: string }>(
    `UPDATE devices.edges SET hub_id = NULL, session_id = NULL WHERE id IN (
       SELECT e.id FROM devices.edges e
       WHERE e.hub_id IS NOT NULL AND NOT ${onlineSql('e')}
       ORDER BY e.id LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING id, tenant_id`,
    [limit],
  );
  if (rows.length === 0) {
    await tx.execute(
      `DELETE FROM devices.hubs h WHERE h.lease_until < clock_timestamp() - interval '1 minute'
       AND NOT EXISTS (SELECT 1 FROM devices.edges e WHERE e.hub_id = h.id)`,
    );
  }
  return rows.map((row) => ({ edgeId: row.id, tenantId: row.tenant_id }));
}

export interface SessionRow {
  readonly edgeId: string;
  readonly hubId: string;
  readonly sessionId: string;
  readonly connectedAt: Date;
}

/** Undefined: there is no such edge any more. `previousHubId` is another live hub that still holds a session. */
export async function markOnline(
  tx: Tx,
  session: SessionRow,
): Promise<{ wasOnline: boolean; previousHubId: string | undefined } | undefined> {
  const [row] = await tx.query<{ was_online: boolean; previous_hub: string | null }>(
    `WITH before AS (
       SELECT e.id, e.hub_id, ${onlineSql('e')} AS online FROM devices.edges e WHERE e.id = $1 FOR UPDATE OF e
     )
     UPDATE devices.edges e SET hub_id = $2, session_id = $3, connected_at = $4, last_seen_at = greatest(e.last_seen_at, $4)
     FROM before WHERE e.id = before.id
     RETURNING before.online AS was_online, before.hub_id AS previous_hub`,
    [session.edgeId, session.hubId, session.sessionId, session.connectedAt],
  );
  if (!row) return undefined;
  const elsewhere = row.was_online && row.previous_hub !== null && row.previous_hub !== session.hubId;
  return { wasOnline: row.was_online, previousHubId: elsewhere ? (row.previous_hub as string) : undefined };
}

/** True when this hub had made the edge online; a session on another hub is left alone. */
export async function markOffline(tx: Tx, edgeId: string, hubId: string, lastSeenAt: Date): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE devices.edges SET hub_id = NULL, session_id = NULL, last_seen_at = greatest(last_seen_at, $3)
     WHERE id = $1 AND hub_id = $2`,
    [edgeId, hubId, lastSeenAt],
  );
  return changed > 0;
}

export async function touchSeen(tx: Tx, seen: readonly { edgeId: string; sessionId: string; at: Date }[]): Promise<void> {
  await tx.execute(
    `UPDATE devices.edges e SET last_seen_at = greatest(e.last_seen_at, v.at)
     FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS v (edge_id, session_id, at)
     WHERE e.id = v.edge_id AND e.session_id = v.session_id`,
    [seen.map((s) => s.edgeId), seen.map((s) => s.sessionId), seen.map((s) => s.at)],
  );
}

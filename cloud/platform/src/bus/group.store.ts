import type { Tx } from '../postgres/database';
import { busChannel } from './postgres-log.store';

export interface Cursor {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly epoch: number;
}

export interface CursorOwner {
  readonly topic: string;
  readonly partition: number;
  readonly owner: string | null;
  readonly expired: boolean;
}

export interface Member {
  readonly member: string;
  readonly topics: readonly string[];
}

/** Says "I am here" for one more lease, renews what this member owns, and drops members that went silent. */
export async function renewMember(tx: Tx, group: string, member: string, topics: readonly string[], leaseMs: number): Promise<Cursor[]> {
  await tx.execute(
    `INSERT INTO platform.bus_members (group_name, member, topics, seen_until)
     VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4 / 1000.0))
     ON CONFLICT ON CONSTRAINT bus_members_pkey DO UPDATE SET seen_until = excluded.seen_until, topics = excluded.topics`,
    [group, member, topics, leaseMs],
  );
  await tx.execute('DELETE FROM platform.bus_members WHERE group_name = $1 AND seen_until < clock_timestamp()', [group]);
  return tx.query<Cursor>(
    `UPDATE platform.bus_cursors SET owned_until = clock_timestamp() + make_interval(secs => $3 / 1000.0)
     WHERE group_name = $1 AND owner = $2 RETURNING topic, partition, position, epoch`,
    [group, member, leaseMs],
  );
}

/** A new group starts at the oldest record that is still there. */
export async function createCursors(tx: Tx, group: string, topics: readonly string[]): Promise<void> {
  await tx.execute(
    `INSERT INTO platform.bus_cursors (group_name, topic, partition)
     SELECT $1, topic, partition FROM platform.bus_partitions WHERE topic = ANY($2) ORDER BY topic, partition
     ON CONFLICT DO NOTHING`,
    [group, topics],
  );
}

export async function readGroup(tx: Tx, group: string, topics: readonly string[]): Promise<{ cursors: CursorOwner[]; members: Member[] }> {
  const cursors = await tx.query<CursorOwner>(
    `SELECT topic, partition, owner, coalesce(owned_until < clock_timestamp(), true) AS expired
     FROM platform.bus_cursors WHERE group_name = $1 AND topic = ANY($2)`,
    [group, topics],
  );
  const members = await tx.query<Member & { [column: string]: unknown }>(
    'SELECT member, topics FROM platform.bus_members WHERE group_name = $1 AND seen_until >= clock_timestamp()',
    [group],
  );
  return { cursors, members };
}

/** Takes a place if it is still free or its owner's lease has run out; undefined when another member was faster. */
export async function claimCursor(
  tx: Tx,
  group: string,
  member: string,
  place: { topic: string; partition: number },
  leaseMs: number,
): Promise<Cursor | undefined> {
  const [row] = await tx.query<Cursor & { [column: string]: unknown }>(
    `UPDATE platform.bus_cursors
     SET owner = $2, epoch = epoch + 1, owned_until = clock_timestamp() + make_interval(secs => $5 / 1000.0)
     WHERE group_name = $1 AND topic = $3 AND partition = $4 AND (owner IS NULL OR owned_until < clock_timestamp())
     RETURNING topic, partition, position, epoch`,
    [group, member, place.topic, place.partition, leaseMs],
  );
  return row;
}

/**
 * Stores how far a member came; false when the partition belongs to another by now. Not fsynced: after a power cut
 * the records since are delivered again, which consumers bear anyway, and a commit costs no disk write.
 */
export async function movePosition(tx: Tx, group: string, member: string, cursor: Cursor): Promise<boolean> {
  await tx.execute('SET LOCAL synchronous_commit = off');
  const moved = await tx.execute(
    `UPDATE platform.bus_cursors SET position = greatest(position, $5), moved_at = now()
     WHERE group_name = $1 AND topic = $3 AND partition = $4 AND owner = $2 AND epoch = $6`,
    [group, member, cursor.topic, cursor.partition, cursor.position, cursor.epoch],
  );
  return moved === 1;
}

/** Gives a place back and tells the others, so that they need not wait for the lease to run out. */
export async function releaseCursor(tx: Tx, group: string, member: string, cursor: Cursor): Promise<void> {
  await tx.execute(
    `UPDATE platform.bus_cursors SET owner = NULL, owned_until = NULL
     WHERE group_name = $1 AND topic = $3 AND partition = $4 AND owner = $2 AND epoch = $5`,
    [group, member, cursor.topic, cursor.partition, cursor.epoch],
  );
  await notifyGroup(tx, group);
}

export async function removeMember(tx: Tx, group: string, member: string): Promise<void> {
  await tx.execute('DELETE FROM platform.bus_members WHERE group_name = $1 AND member = $2', [group, member]);
  await tx.execute('UPDATE platform.bus_cursors SET owner = NULL, owned_until = NULL WHERE group_name = $1 AND owner = $2', [
    group,
    member,
  ]);
  await notifyGroup(tx, group);
}

/** Asks the members of a group to share its partitions anew. */
export async function notifyGroup(tx: Tx, group: string): Promise<void> {
  await tx.query('SELECT pg_notify($1, $2)', [busChannel, `group:${group}`]);
}

import type { Audit, AuditEntry } from '../identity/audit';
import type { Database, Tx } from '../postgres/database';
import type { BusRecord } from './bus';
import { busErrors } from './bus.errors';
import { decodeRecord } from './codec';
import {
  deadLetterClock,
  deleteDeadLetter,
  findDeadLetter,
  type ListedDeadLetter,
  pageDeadLetters,
  requestReplays,
} from './dead-letters.store';
import { type DeadLetterRow, requestReplay } from './postgres-log.store';

/** Replays asked for in one transaction. */
const batch = 500;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Who does it, and in whose log that is told. */
export type Operator = Pick<AuditEntry, 'tenantId' | 'username'>;

/**
 * Dead letters of the bus in PostgreSQL, of all groups, for an operator. What is looked into, replayed or dropped is told
 * the audit log in the same transaction. All but `list` throw `bus.dead_letter_not_found`; `list` throws
 * `bus.cursor_invalid`.
 */
export function createDeadLetters({ database, audit }: { readonly database: Database; readonly audit: Audit }) {
  const told = <T>(operator: Operator, action: string, id: string, work: (tx: Tx, letter: DeadLetterRow) => Promise<T>, reason?: string) =>
    database.system(action, async (tx) => {
      const letter = uuid.test(id) ? await findDeadLetter(tx, id) : undefined;
      if (!letter) throw busErrors.error('bus.dead_letter_not_found', { id });
      const { group_name: group, topic, key, headers } = letter;
      const details = { group, topic, key, tenantId: headers.tenant, recordId: headers.id };
      await audit(tx, { ...operator, action, subject: letter.id, details, ...(reason === undefined ? {} : { reason }) });
      return work(tx, letter);
    });
  return {
    /** Oldest first, without what they say. */
    list: async (
      filter: { readonly topic?: string; readonly group?: string },
      page: { readonly cursor?: string; readonly limit: number },
    ): Promise<{ readonly items: readonly ListedDeadLetter[]; readonly nextCursor: string | null }> => {
      const after = page.cursor === undefined ? undefined : positionOf(page.cursor);
      const rows = await database.system('list dead letters', (tx) => pageDeadLetters(tx, filter, after, page.limit + 1));
      const items = rows.slice(0, page.limit);
      const last = items.at(-1);
      const nextCursor = rows.length > items.length && last ? Buffer.from(`${last.place}|${last.id}`).toString('base64url') : null;
      return { items, nextCursor };
    },
    /** With the record, if it can be decoded: somebody's data, so this too is told. */
    show: (operator: Operator, id: string): Promise<DeadLetterRow & { readonly record?: BusRecord }> =>
      told(operator, 'dead_letter.shown', id, async (_tx, letter) => {
        try {
          return { ...letter, record: decodeRecord({ ...letter }) };
        } catch {
          return letter;
        }
      }),
    /** Its group gets it again, when it runs; it leaves the list when it is handled. */
    replay: (operator: Operator, id: string): Promise<void> =>
      told(operator, 'dead_letter.replayed', id, async (tx) => void (await requestReplay(tx, id))),
    /** All of a topic that have failed until now and are not on their way yet; answers how many. */
    replayTopic: async (operator: Operator, topic: string): Promise<number> => {
      const failedUntil = await database.system('replay dead letters', deadLetterClock);
      // Those that fail again meanwhile are younger, so this ends.
      for (let count = 0; ; ) {
        const ids = await database.system('replay dead letters', async (tx) => {
          const asked = await requestReplays(tx, topic, failedUntil, batch);
          if (asked.length > 0)
            await audit(tx, { ...operator, action: 'dead_letter.replayed', subject: topic, details: { topic, ids: asked } });
          return asked;
        });
        count += ids.length;
        if (ids.length < batch) return count;
      }
    },
    /** For good. */
    drop: (operator: Operator, id: string, reason: string): Promise<void> =>
      told(operator, 'dead_letter.dropped', id, async (tx) => void (await deleteDeadLetter(tx, id)), reason),
  };
}

function positionOf(cursor: string): { place: string; id: string } {
  const [place = '', id = ''] = Buffer.from(cursor, 'base64url').toString().split('|');
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d)?$/.test(place) || !uuid.test(id))
    throw busErrors.error('bus.cursor_invalid');
  return { place, id };
}

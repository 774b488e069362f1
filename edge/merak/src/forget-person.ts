import type { DatabaseSync } from 'node:sqlite';
import { type Clock, emptyLog, inTransaction } from '@dipper/platform';
import { type ForgetPersonParams, type ForgetPersonReply, type ForgetReceipt, forgetDocument, forgetPersonParams } from '@stardipper/proto';
import type { ForgottenPeople } from './forgotten-people.store';
import { queryMalformed, taskMalformed } from './merak.errors';
import type { Neighbours } from './neighbours';
import { fetchDocument } from './read-query';
import type { TaskStore } from './task.store';

export interface ForgetDeps {
  readonly db: DatabaseSync;
  readonly tasks: TaskStore;
  readonly people: ForgottenPeople;
  readonly neighbours: Pick<Neighbours, 'forgetFaces'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told after tasks were asked to end. */
  readonly changed: () => void;
  /** Why work that nobody waits for any more failed; Star asks again. */
  readonly warn: (error: unknown) => void;
}

/** Below what Dubhe gives one attempt of a call. */
const answerWithinMs = 3_000;

/**
 * Forgets a person: tasks that ask for them end and their questions go, their matches go, and Mizar deletes every face
 * that is theirs. Star does not delete who is searched for, so such a task is one that Star has given up. What takes
 * longer than a call goes on: `accepted`, and the same call later gives the receipt; by then none of it is left in any
 * file. Repeating it, also after a crash, does the work again and adds up. Throws task.malformed, and what fetching a
 * query throws.
 */
export function forgetPerson(deps: ForgetDeps) {
  const working = new Map<string, Promise<ForgetReceipt>>();
  return async (given: unknown): Promise<ForgetPersonReply> => {
    const parsed = forgetPersonParams.safeParse(given);
    if (!parsed.success) throw taskMalformed(parsed.error.issues);
    const { personId } = parsed.data;
    const work = working.get(personId) ?? forget(deps, parsed.data);
    working.set(personId, work);
    const ended = () => void (working.get(personId) === work && working.delete(personId));
    work.then(ended, (error: unknown) => {
      ended();
      if (!deps.signal.aborted) deps.warn(error);
    });
    const waited = new AbortController();
    const late = deps.clock.sleep(answerWithinMs, AbortSignal.any([deps.signal, waited.signal])).catch(() => undefined);
    const receipt = await Promise.race([work, late]).finally(() => waited.abort());
    return receipt ? { receipt } : { accepted: true };
  };
}

async function forget(deps: ForgetDeps, { personId, document }: ForgetPersonParams): Promise<ForgetReceipt> {
  const { db, people, clock, neighbours, signal } = deps;
  const bytes = await fetchDocument(document, signal);
  const packs = packsOf(bytes, personId);
  const counts = inTransaction(db, () => ({ tasks: endTasks(deps, personId), matches: people.deleteMatches(personId) }));
  if (counts.tasks > 0) deps.changed();
  const sightings = packs.length > 0 ? await neighbours.forgetFaces(packs, signal) : 0;
  inTransaction(db, () => people.add(personId, { ...counts, sightings }, clock.now()));
  // Their questions hold their faces, also those that ended long ago.
  emptyLog(db);
  return people.receipt(personId) as ForgetReceipt;
}

function packsOf(bytes: Buffer, personId: string) {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw queryMalformed();
  }
  const parsed = forgetDocument.safeParse(document);
  if (!parsed.success || parsed.data.personId !== personId) throw queryMalformed();
  return parsed.data.packs.map(({ packId, threshold, embeddings }) => ({
    packId,
    threshold,
    embeddings: embeddings.map((text) => Buffer.from(text, 'base64')),
  }));
}

/** Answers how many there were. */
function endTasks({ tasks, clock }: ForgetDeps, personId: string): number {
  const asking = tasks.tasksWithQuery().filter((taskId) => {
    const document = tasks.query(taskId);
    return document !== undefined && Buffer.from(document.buffer, document.byteOffset, document.byteLength).includes(`"${personId}"`);
  });
  for (const taskId of asking) {
    tasks.requestCancel(taskId, clock.now());
    tasks.dropQuery(taskId);
  }
  return asking.length;
}

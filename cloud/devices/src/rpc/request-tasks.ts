import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type BusRecord, byTenant, type Database, type FirstTimes, type Log, type Tx, type WriteEvents } from '@star/platform';
import { type events, maxPayloadBytes } from '@stardipper/proto';
import { type HubSignal, signalHubs } from '../hub/hub-channel.store';
import { devicesGroup } from '../recorders/apply-recorder-report';
import { announceEnds } from './announce-ends';
import type { Dispatcher } from './dispatcher';
import { maxRetries, type OpenRpc } from './rpc';
import { type EndedRpc, insertRpcs } from './rpc.store';

export interface RequestTasksDeps {
  readonly db: Database;
  readonly firstTimes: FirstTimes;
  readonly writeEvents: WriteEvents;
  readonly dispatcher: Pick<Dispatcher, 'offer'>;
  readonly connectedHere: (edgeId: string) => boolean;
  readonly log: Log;
}

/** Topic and `{"method":…,"params":…}` around the parameters stay below this. */
const envelopeBytes = 512;

/**
 * Turns records of `search.task.requested` into persistent RPCs, once per record and in their order, with one
 * transaction for each tenant, and sends them at once when the edge is here. What cannot be sent to anybody ends as
 * FAILED right away. When it rejects, some tenants' may be done: repeated, they are passed over.
 */
export const requestTasks =
  (deps: RequestTasksDeps) =>
  async (records: readonly BusRecord[]): Promise<void> => {
    for (const [tenantId, own] of byTenant(records)) {
      const rpcs = await deps.db.tenant(tenantId, (tx) => queue(deps, tx, tenantId, own));
      for (const rpc of rpcs) {
        deps.dispatcher.offer(rpc);
        // A thousand writes in one go would keep the first answers waiting to be read for a tenth of a second.
        await nextTurn();
      }
    }
  };

async function queue(deps: RequestTasksDeps, tx: Tx, tenantId: string, records: readonly BusRecord[]): Promise<OpenRpc[]> {
  const { firstTimes, writeEvents, connectedHere, log } = deps;
  const fresh = await firstTimes(
    tx,
    devicesGroup,
    records.map((record) => record.id),
  );
  // `delete`: a record may also come twice in one batch.
  const tasks = records.filter((record) => fresh.delete(record.id)).map((record) => record.message as events.SearchTaskRequested);
  const asked = tasks.map((task) => ({ task, refusal: faultOf(task) }));
  const sound = asked.filter(({ refusal }) => refusal === undefined);
  const created = await insertRpcs(
    tx,
    tenantId,
    sound.map(({ task }) => ({
      edgeId: task.edgeId,
      method: task.method,
      paramsJson: task.paramsJson,
      correlationId: task.taskId,
      expiresAtMs: task.expiresAtMs,
      retries: maxRetries,
      announced: true,
    })),
  );
  const rpcs = created.filter((rpc) => rpc !== undefined);
  // These edges may be connected to another hub, or about to be; the others are told after the commit without a round trip.
  const elsewhere = new Set(rpcs.map((rpc) => rpc.edgeId).filter((edgeId) => !connectedHere(edgeId)));
  await signalHubs(tx, ...[...elsewhere].map((edgeId): HubSignal => ({ kind: 'rpc', edgeId })));
  const nowhere = sound.flatMap(({ task }, place) => (created[place] ? [] : [{ task, refusal: 'edge.not_found' }]));
  const failed = [...asked, ...nowhere].flatMap(({ task, refusal }) => (refusal === undefined ? [] : [failureOf(tenantId, task, refusal)]));
  for (const { correlationId, edgeId, replyJson } of failed) {
    log.warn({ taskId: correlationId, edgeId, reply: replyJson }, 'a task could not be sent');
  }
  await announceEnds(tx, writeEvents, failed);
  return rpcs;
}

const failureOf = (tenantId: string, task: events.SearchTaskRequested, code: string): EndedRpc => ({
  id: randomUUID(),
  tenantId,
  edgeId: task.edgeId,
  method: task.method,
  correlationId: task.taskId,
  announced: true,
  state: 'FAILED',
  replyJson: JSON.stringify({ error: { code } }),
  roundTripMs: 0,
});

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function faultOf(task: events.SearchTaskRequested): string | undefined {
  if (!uuid.test(task.edgeId)) return 'edge.not_found';
  if (Buffer.byteLength(task.paramsJson) > maxPayloadBytes - envelopeBytes) return 'rpc.too_large';
  if (task.paramsJson.includes('\0') || task.method.length === 0 || task.method.length > 128) return 'rpc.params_invalid';
  // A date PostgreSQL can hold.
  if (task.expiresAtMs < 0 || task.expiresAtMs > 8.64e15) return 'rpc.params_invalid';
  try {
    JSON.parse(task.paramsJson);
  } catch {
    return 'rpc.params_invalid';
  }
  return undefined;
}

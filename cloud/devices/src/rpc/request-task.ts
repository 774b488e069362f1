import { randomUUID } from 'node:crypto';
import type { BusRecord, Database, FirstTime, Log, WriteEvent } from '@star/platform';
import { type events, maxPayloadBytes } from '@stardipper/proto';
import { signalHubs } from '../hub/hub-channel.store';
import { devicesGroup } from '../recorders/apply-recorder-report';
import { announceEnd } from './announce-end';
import type { Dispatcher } from './dispatcher';
import { maxRetries } from './rpc';
import { insertRpc } from './rpc.store';

export interface RequestTaskDeps {
  readonly db: Database;
  readonly firstTime: FirstTime;
  readonly writeEvent: WriteEvent;
  readonly dispatcher: Pick<Dispatcher, 'offer'>;
  readonly connectedHere: (edgeId: string) => boolean;
  readonly log: Log;
}

/** Topic and `{"method":…,"params":…}` around the parameters stay below this. */
const envelopeBytes = 512;

/**
 * Turns `search.task.requested` into a persistent RPC, once per record, and sends it at once when the edge is here.
 * What cannot be sent to anybody ends as FAILED right away.
 */
export const requestTask =
  ({ db, firstTime, writeEvent, dispatcher, connectedHere, log }: RequestTaskDeps) =>
  async (record: BusRecord): Promise<void> => {
    const task = record.message as events.SearchTaskRequested;
    const refusal = faultOf(task);
    const rpc = await db.tenant(record.tenantId, async (tx) => {
      if (!(await firstTime(tx, devicesGroup, record.id))) return undefined;
      const created =
        refusal === undefined
          ? await insertRpc(tx, {
              tenantId: record.tenantId,
              edgeId: task.edgeId,
              method: task.method,
              paramsJson: task.paramsJson,
              correlationId: task.taskId,
              expiresAtMs: task.expiresAtMs,
              retries: maxRetries,
              announced: true,
            })
          : undefined;
      if (created) {
        // The edge may be connected to another hub, or about to be; here it is told below without a round trip.
        if (!connectedHere(task.edgeId)) await signalHubs(tx, { kind: 'rpc', edgeId: task.edgeId });
        return created;
      }
      const code = refusal ?? 'edge.not_found';
      log.warn({ taskId: task.taskId, edgeId: task.edgeId, code }, 'a task could not be sent');
      await announceEnd(tx, writeEvent, {
        id: randomUUID(),
        tenantId: record.tenantId,
        edgeId: task.edgeId,
        method: task.method,
        correlationId: task.taskId,
        announced: true,
        state: 'FAILED',
        replyJson: JSON.stringify({ error: { code } }),
        roundTripMs: 0,
      });
      return undefined;
    });
    if (rpc) dispatcher.offer(rpc);
  };

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

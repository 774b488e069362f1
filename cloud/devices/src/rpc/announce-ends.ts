import type { Tx, WriteEvents } from '@star/platform';
import { type HubSignal, signalHubs } from '../hub/hub-channel.store';
import type { EndedRpc } from './rpc.store';

/** Tells whoever asked: over the bus, or, for a question somebody waits for, the hubs. In the transaction that ended them. */
export async function announceEnds(tx: Tx, writeEvents: WriteEvents, rpcs: readonly EndedRpc[]): Promise<void> {
  const awaited = rpcs.filter((rpc) => !rpc.announced);
  await signalHubs(tx, ...awaited.map((rpc): HubSignal => ({ kind: 'answered', rpcId: rpc.id })));
  await writeEvents(
    tx,
    rpcs
      .filter((rpc) => rpc.announced)
      .map((rpc) => ({
        topic: 'device.rpc.finished.v1',
        key: rpc.edgeId,
        tenantId: rpc.tenantId,
        message: {
          rpcId: rpc.id,
          edgeId: rpc.edgeId,
          method: rpc.method,
          correlationId: rpc.correlationId,
          state: rpc.state,
          replyJson: rpc.replyJson,
          roundTripMs: rpc.roundTripMs,
        },
      })),
  );
}

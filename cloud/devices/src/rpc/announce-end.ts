import type { Tx, WriteEvent } from '@star/platform';
import { signalHubs } from '../hub/hub-channel.store';
import type { EndedRpc } from './rpc.store';

/** Tells whoever asked: over the bus, or, for a question somebody waits for, the hubs. In the transaction that ended it. */
export async function announceEnd(tx: Tx, writeEvent: WriteEvent, rpc: EndedRpc): Promise<void> {
  if (!rpc.announced) {
    await signalHubs(tx, { kind: 'answered', rpcId: rpc.id });
    return;
  }
  await writeEvent(tx, {
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
  });
}

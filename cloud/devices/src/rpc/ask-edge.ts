import type { Database } from '@star/platform';
import { maxPayloadBytes } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import { findEdge } from '../edges/edge-list.read';
import { signalHubs } from '../hub/hub-channel.store';
import type { Dispatcher } from './dispatcher';
import type { Answer } from './line';
import { deleteQuestion, endOf, insertRpcs } from './rpc.store';

export interface AskEdgeDeps {
  readonly db: Database;
  readonly dispatcher: Pick<Dispatcher, 'ask' | 'canAsk'>;
  /** Calls of other hubs that somebody here waits for. */
  readonly answers: AnswerWaiters;
}

/** Wakes whoever waits for the end of an RPC that another hub carries out. */
export class AnswerWaiters {
  readonly #waiting = new Map<string, () => void>();

  answered(rpcId: string): void {
    this.#waiting.get(rpcId)?.();
  }

  /** Signals may have been lost: everybody looks for themselves. */
  lookAgain(): void {
    for (const wake of this.#waiting.values()) wake();
  }

  /** Resolves at the next signal for this RPC, or after `timeoutMs`. */
  async wait(rpcId: string, timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
      this.#waiting.set(rpcId, resolve);
    });
    clearTimeout(timer);
    this.#waiting.delete(rpcId);
  }
}

const maxTimeoutMs = 60_000;

/**
 * A two-way RPC whose asker waits. An edge connected here is asked at once and nothing is stored; for one on another
 * hub the question travels through the table. Rejects with `edge.not_found`, `edge.offline`, `edge.timeout`,
 * `edge.busy`, `rpc.params_invalid` or `rpc.too_large`.
 */
export const askEdge =
  ({ db, dispatcher, answers }: AskEdgeDeps) =>
  async (tenantId: string, edgeId: string, method: string, paramsJson: string, timeoutMs: number): Promise<Answer> => {
    checkParams(paramsJson);
    const edge = await db.tenant(tenantId, (tx) => findEdge(tx, edgeId, 'all'));
    if (!edge) throw devicesErrors.error('edge.not_found', { edgeId });
    const limitMs = Math.min(Math.max(1, timeoutMs), maxTimeoutMs);
    if (dispatcher.canAsk(edgeId)) return dispatcher.ask(edgeId, method, paramsJson, limitMs);
    if (!edge.online) throw devicesErrors.error('edge.offline', { edgeId });
    const deadline = performance.now() + limitMs;
    const rpc = await db.tenant(tenantId, async (tx) => {
      const expiresAtMs = Date.now() + limitMs;
      const question = { edgeId, method, paramsJson, correlationId: '', expiresAtMs, retries: 0, announced: false };
      const [created] = await insertRpcs(tx, tenantId, [question]);
      if (created) await signalHubs(tx, { kind: 'rpc', edgeId });
      return created;
    });
    if (!rpc) throw devicesErrors.error('edge.not_found', { edgeId });
    for (;;) {
      const leftMs = deadline - performance.now();
      if (leftMs > 0) await answers.wait(rpc.id, Math.min(leftMs, 1000));
      const end = await db.tenant(tenantId, (tx) => endOf(tx, rpc.id));
      if (end?.state === 'SUCCESSFUL') return { replyJson: end.replyJson, roundTripMs: end.roundTripMs };
      if (end || leftMs <= 0) {
        await db.tenant(tenantId, (tx) => deleteQuestion(tx, rpc.id));
        throw devicesErrors.error('edge.timeout', { edgeId, method, timeoutMs: limitMs });
      }
    }
  };

function checkParams(paramsJson: string): void {
  if (Buffer.byteLength(paramsJson) > maxPayloadBytes - 512) throw devicesErrors.error('rpc.too_large', { maxBytes: maxPayloadBytes });
  try {
    JSON.parse(paramsJson);
  } catch {
    throw devicesErrors.error('rpc.params_invalid');
  }
}

/** A call made to a device, in ThingsBoard's states. */

export const rpcStates = ['QUEUED', 'SENT', 'DELIVERED', 'SUCCESSFUL', 'TIMEOUT', 'EXPIRED', 'FAILED'] as const;
export type RpcState = (typeof rpcStates)[number];

/** How an RPC can end. TIMEOUT is no end: it is sent again when the device shows itself. */
export type FinalState = 'SUCCESSFUL' | 'EXPIRED' | 'FAILED';

/** ThingsBoard's limit on sending again after a missing PUBACK. */
export const maxRetries = 5;

/** An RPC that has not ended, as the dispatcher holds it. */
export interface OpenRpc {
  readonly id: string;
  readonly tenantId: string;
  readonly edgeId: string;
  readonly requestId: number;
  readonly method: string;
  readonly paramsJson: string;
  readonly expiresAtMs: number;
  readonly retries: number;
  readonly timeouts: number;
}

/** What happened on the wire; instants are Unix milliseconds with fractions. */
export interface RpcProgress {
  readonly state: 'SENT' | 'DELIVERED' | 'TIMEOUT';
  readonly timeouts: number;
  readonly sentAtMs?: number | undefined;
  readonly deliveredAtMs?: number | undefined;
}

/** performance.now() as Unix milliseconds, microseconds kept. */
export const wallClockMs = (monotonic: number): number => performance.timeOrigin + monotonic;

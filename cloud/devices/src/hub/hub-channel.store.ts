import type { Tx } from '@star/platform';
import { z } from 'zod';

/** What the hub that holds an edge's session must hear, whichever process changed it. */
const signal = z.discriminatedUnion('kind', [
  /** There is an RPC to deliver. */
  z.object({ kind: z.literal('rpc'), edgeId: z.string() }),
  /** An RPC somebody waits for has ended. */
  z.object({ kind: z.literal('answered'), rpcId: z.string() }),
  /** Shared attributes changed; the values are read anew, so the order of these signals does not matter. */
  z.object({ kind: z.literal('attributes'), edgeId: z.string(), keys: z.array(z.string()) }),
  /** The same of every edge of a tenant. */
  z.object({ kind: z.literal('tenantAttributes'), tenantId: z.string(), keys: z.array(z.string()) }),
  /** Its tenant is not enabled any more. */
  z.object({ kind: z.literal('tenantClosed'), tenantId: z.string() }),
  /** The device has connected to another hub. */
  z.object({ kind: z.literal('takenOver'), edgeId: z.string(), hubId: z.string() }),
  /** The edge or its credentials are gone. */
  z.object({ kind: z.literal('revoked'), edgeId: z.string() }),
]);
export type HubSignal = z.infer<typeof signal>;

export const hubChannel = 'devices_hub';

/** Sent when the transaction commits, to every hub. */
export async function signalHubs(tx: Tx, ...messages: readonly HubSignal[]): Promise<void> {
  if (messages.length === 0) return;
  await tx.query('SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message', [
    hubChannel,
    messages.map((each) => JSON.stringify(each)),
  ]);
}

/** Undefined for the empty payload after a reconnect and for anything a newer release may say. */
export function readSignal(payload: string): HubSignal | undefined {
  if (payload === '') return undefined;
  try {
    return signal.safeParse(JSON.parse(payload)).data;
  } catch {
    return undefined;
  }
}

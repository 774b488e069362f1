import type { Quota } from '@stardipper/proto';

/** How many of each a tenant may have at one time. */
export type Limits = Readonly<Record<Quota, number>>;

/** A question for whoever keeps the tenants' configuration. Asked before the transaction that creates, which must not wait for it. */
export type LimitsOf = (tenantId: string) => Promise<Limits>;

/** Of a tenant for which nobody has decided otherwise. */
export const defaultLimits: Limits = { edges: 1_000, cameras: 20_000, people: 10_000, searchesInFlight: 50 };

export const limitsByDefault: LimitsOf = async () => defaultLimits;

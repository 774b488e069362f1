import { defaultTenantSettings, type Quota } from '@stardipper/proto';

/** How many of each a tenant may have at one time. */
export type Limits = Readonly<Record<Quota, number>>;

/** A question for whoever keeps the tenants' configuration. Asked before the transaction that creates, which must not wait for it. */
export type LimitsOf = (tenantId: string) => Promise<Limits>;

/**
 * Throws `quota.exceeded` when so many more bytes do not fit into what a tenant may have in object storage. For uploads
 * by people: what boxes report is never refused.
 */
export type RequireStorage = (tenantId: string, bytes: number) => Promise<void>;

/** Of a tenant for which nobody has decided otherwise. */
export const defaultLimits: Limits = defaultTenantSettings.limits;

export const limitsByDefault: LimitsOf = async () => defaultLimits;

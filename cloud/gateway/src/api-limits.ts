import { type Caller } from '@star/platform';
import { lineOf } from './line-of';
import type { Bucket } from './rate-limits';

/** Calls per minute. */
export interface ApiLimits {
  readonly tenant: number;
  readonly user: number;
  readonly key: number;
}

/** What a tenant's configuration says; the gateway asks before every call, so the answer should come from a cache. */
export type ApiLimitsOf = (tenantId: string) => Promise<ApiLimits>;

/** A console that follows ten searches and shows their crops makes some 300 calls a minute. */
export const usualApiLimits: ApiLimits = { tenant: 12_000, user: 1_200, key: 3_000 };

/** Nobody alone may use up what a tenant was given, unless that is little. */
export const apiLimitsWithin = (tenantPerMinute: number): ApiLimits => ({
  tenant: tenantPerMinute,
  user: Math.min(tenantPerMinute, usualApiLimits.user),
  key: Math.min(tenantPerMinute, usualApiLimits.key),
});

/** Of one address for all that name nobody: a log-in is one, and so is a token that does not work. */
export const strangersPerMinute = 600;

/** The caller's own bucket first: who has emptied his own takes nothing from his tenant's. */
export function bucketsOf(caller: Caller, limits: ApiLimits): readonly [Bucket, Bucket] {
  const own = caller.permissions ? ({ kind: 'key', perMinute: limits.key } as const) : ({ kind: 'user', perMinute: limits.user } as const);
  const prefix = `tenant:${caller.tenantId}:rate`;
  return [
    { key: `${prefix}:${own.kind}:${caller.userId}`, perMinute: own.perMinute },
    { key: `${prefix}:all`, perMinute: limits.tenant },
  ];
}

export const strangerBucket = (address: string): Bucket => ({ key: `rate:address:${lineOf(address)}`, perMinute: strangersPerMinute });

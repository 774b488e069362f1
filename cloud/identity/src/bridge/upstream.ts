import { defineErrors } from '@star/platform';
import { z } from 'zod';

/** Somebody as Feishu or WeChat knows them. */
export interface UpstreamPerson {
  /** The same for every application of one owner: `union_id`, or `open_id` where an application stands alone. */
  readonly subject: string;
  readonly name: string;
  readonly email?: string;
  readonly picture?: string;
}

/** One service people log in with that has an OAuth of its own making. */
export interface Upstream {
  /** Where the browser is sent. @param state 32 letters and digits: WeChat takes no others, and at most 128 */
  authorizationUrl(redirectUri: string, state: string): string;
  /** Throws `bridge.code_refused`, or `bridge.upstream_unavailable` (may be retried). */
  identify(code: string, redirectUri: string): Promise<UpstreamPerson>;
}

export const bridgeErrors = defineErrors({
  /** Used before, too old, or another application's. */
  'bridge.code_refused': 'unauthenticated',
  'bridge.upstream_unavailable': 'unavailable',
});

const timeoutMs = 10_000;

/** JSON of `schema`; what is no such answer is an outage of the service, not a fault of the user. */
export async function askJson<T>(schema: z.ZodType<T>, address: string, init: RequestInit = {}): Promise<T> {
  try {
    const answer = await fetch(address, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (answer.status >= 500) throw new Error(`HTTP ${answer.status}`);
    return schema.parse(await answer.json());
  } catch (error) {
    throw bridgeErrors.error('bridge.upstream_unavailable', {}, error);
  }
}

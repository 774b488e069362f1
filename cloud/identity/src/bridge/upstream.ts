import type { z } from 'zod';

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
  /** Throws `UpstreamFailure`. A code works once, which the service sees to. */
  identify(code: string, redirectUri: string): Promise<UpstreamPerson>;
}

/**
 * Why nobody was vouched for. `code`: used before, too old, or another application's. `person`: the service does not let
 * this person use the application. `setup`: the application is set up wrongly, which only its owner can mend. `outage`: may
 * be over at the next try.
 */
export type FailureCause = 'code' | 'person' | 'setup' | 'outage';

/** The message is for our log: the service's own code, and never anything that was sent or answered beside it. */
export class UpstreamFailure extends Error {
  constructor(
    readonly why: FailureCause,
    message: string,
  ) {
    super(message);
    this.name = 'UpstreamFailure';
  }
}

/**
 * JSON of `schema`; what is no such answer is an outage of the service, not a fault of the user. Errors of `fetch` and of
 * JSON are not passed on: they may show addresses with a secret in them, or tokens.
 */
export async function askJson<T>(
  schema: z.ZodType<T>,
  address: string,
  { timeoutMs = 10_000, ...init }: RequestInit & { readonly timeoutMs?: number | undefined } = {},
): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await fetch(address, { ...init, redirect: 'error', signal }).catch((error: unknown) => {
    const { name, cause } = error as Error & { cause?: { code?: string } };
    throw new UpstreamFailure('outage', `not reached: ${cause?.code ?? name}`);
  });
  const parsed = schema.safeParse(await answer.json().catch(() => undefined));
  if (!parsed.success) throw new UpstreamFailure('outage', `HTTP ${answer.status}, answered otherwise than documented`);
  if (answer.status >= 500) throw new UpstreamFailure('outage', `HTTP ${answer.status}`);
  return parsed.data;
}

import { z } from 'zod';
import { type Credentials, newToken, readCredentials, writeCredentials } from './credentials';
import { dubheErrors } from './dubhe.errors';
import { openLink } from './mqtt-link';

export interface ProvisionOptions {
  readonly url: string;
  readonly key: string | undefined;
  readonly secret: string | undefined;
  readonly deviceName: string | undefined;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

const answerSchema = z.union([
  z.object({ status: z.literal('SUCCESS'), credentialsValue: z.string().min(1).max(1024) }),
  z.object({ status: z.string().max(64) }),
]);

/**
 * Asks Star for an account under the token in `credentials`, which is stored before it is sent: when the answer
 * is lost, or this process is killed before it could keep it, the account is there all the same and the next
 * start simply logs in. Throws provision.refused, provision.name_taken, provision.no_answer, star.offline.
 */
export async function askForAccount(options: ProvisionOptions, credentials: Credentials): Promise<Credentials> {
  const { key, secret } = options;
  if (!key || !secret) throw dubheErrors.provisionNotConfigured();
  const answer = await exchange(options, {
    deviceName: credentials.deviceName || undefined,
    provisionDeviceKey: key,
    provisionDeviceSecret: secret,
    credentialsType: 'ACCESS_TOKEN',
    token: credentials.token,
  });
  const parsed = answerSchema.safeParse(answer);
  if (!parsed.success) throw dubheErrors.provisionUnclear();
  if (parsed.data.status === 'NOT_FOUND') throw dubheErrors.provisionRefused('NOT_FOUND');
  if (!('credentialsValue' in parsed.data)) throw dubheErrors.nameTaken(credentials.deviceName);
  // A server that insists on a token of its own is right.
  const provisioned: Credentials = { ...credentials, state: 'provisioned', token: parsed.data.credentialsValue };
  writeCredentials(options.path, provisioned);
  return provisioned;
}

/** What is stored, or a token freshly chosen and stored; `asked` says that Star may not know it yet. */
export function ownCredentials(
  options: Pick<ProvisionOptions, 'path' | 'deviceName' | 'key' | 'secret'>,
): Credentials & { fresh: boolean } {
  const stored = readCredentials(options.path);
  if (stored) return { ...stored, fresh: false };
  if (!options.key || !options.secret) throw dubheErrors.provisionNotConfigured();
  const chosen: Credentials = { state: 'asked', token: newToken(), deviceName: options.deviceName ?? '' };
  writeCredentials(options.path, chosen);
  return { ...chosen, fresh: true };
}

/** One request and its answer in a session as `provision`, which may do nothing else. */
async function exchange(options: ProvisionOptions, request: Record<string, unknown>): Promise<unknown> {
  let answered: (payload: Buffer) => void = () => undefined;
  const answer = new Promise<Buffer>((resolve) => {
    answered = resolve;
  });
  const link = await openLink({
    url: options.url,
    username: 'provision',
    signal: options.signal,
    connectTimeoutMs: options.timeoutMs,
    ackTimeoutMs: options.timeoutMs,
    onMessage: (topic, payload) => {
      if (topic === '/provision/response') answered(payload);
    },
  });
  try {
    await link.subscribe(['/provision/response']);
    const gone = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(dubheErrors.provisionUnclear()), options.timeoutMs);
      const lost = () => {
        clearTimeout(timer);
        reject(dubheErrors.provisionUnclear());
      };
      if (link.closed.aborted) lost();
      else link.closed.addEventListener('abort', lost, { once: true });
    });
    gone.catch(() => undefined);
    // The answer counts, not the acknowledgement: a server may close at once after answering.
    link.publish('/provision/request', JSON.stringify(request)).catch(() => undefined);
    const payload = await Promise.race([answer, gone]);
    return JSON.parse(payload.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw dubheErrors.provisionUnclear();
    throw error;
  } finally {
    await link.close();
  }
}

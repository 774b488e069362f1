import { z } from 'zod';
import type { Secret } from '../config/secret';
import { AppError } from '../errors/app-error';
import { identityErrors } from './identity-admin';
import type { KeycloakRealm } from './keycloak-verifier';

export interface KeycloakAdminOptions extends KeycloakRealm {
  /** A confidential client whose service account may manage the realm's users. */
  readonly clientId: string;
  readonly clientSecret: Secret;
}

const timeoutMs = 10_000;
/** A token is fetched anew this long before it ends: clocks differ, and a call takes its time. */
const renewBeforeMs = 30_000;
const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number() });

export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Of what was created. */
  readonly location: string | null;
}

/** One call of Keycloak's admin REST; `path` below `/admin/realms/<realm>`. */
export type CallAdmin = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) => Promise<AdminAnswer>;

/**
 * Calls as the service account. Statuses below 500 are the caller's to judge; everything else, and a refused service
 * account, is `identity.unavailable`.
 */
export function keycloakClient({ url, realm, clientId, clientSecret }: KeycloakAdminOptions): CallAdmin {
  let token: { text: string; renewAt: number } | undefined;
  const tokenNow = async () => {
    if (token && performance.now() < token.renewAt) return token.text;
    const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret.reveal())}`).toString('base64');
    const answer = await request(`${url}/realms/${encodeURIComponent(realm)}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    if (answer.status !== 200) throw unavailable(new Error(`the service account was refused: ${JSON.stringify(answer.body)}`));
    const { access_token, expires_in } = tokenAnswer.parse(answer.body);
    token = { text: access_token, renewAt: performance.now() + Math.max(1000, expires_in * 1000 - renewBeforeMs) };
    return access_token;
  };
  return async (method, path, body) => {
    const once = async () =>
      request(`${url}/admin/realms/${encodeURIComponent(realm)}${path}`, {
        method,
        headers: { authorization: `Bearer ${await tokenNow()}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    let answer = await once();
    if (answer.status === 401) {
      // Keycloak was restarted without its keys, or the session was ended by hand.
      token = undefined;
      answer = await once();
    }
    if (answer.status === 401 || answer.status === 403)
      throw unavailable(new Error(`the service account may not ${method} ${path.split('?')[0]}`));
    return answer;
  };
}

async function request(address: string, init: RequestInit): Promise<AdminAnswer> {
  try {
    const answer = await fetch(address, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    const text = await answer.text();
    if (answer.status >= 500) throw new Error(`HTTP ${answer.status}: ${text.slice(0, 500)}`);
    const json = (answer.headers.get('content-type') ?? '').includes('json') && text !== '';
    return { status: answer.status, body: json ? JSON.parse(text) : undefined, location: answer.headers.get('location') };
  } catch (error) {
    throw error instanceof AppError ? error : unavailable(error);
  }
}

const unavailable = (cause: unknown) => identityErrors.error('identity.unavailable', {}, cause);

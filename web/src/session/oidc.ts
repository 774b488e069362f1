import { installation } from '../api/installation';
import { sha256 } from './sha256';

/** Authorization code with PKCE (RFC 7636), refresh and log-out: the console's part of OpenID Connect, for Star's own provider or a Keycloak. */

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  readonly id: string;
  /** When the access token ends, by this clock, ms. */
  readonly endsAtMs: number;
}

/** The provider refused: there is no session any more. Anything else that is thrown may be over at the next try. */
export class SessionEnded extends Error {}

const clientId = 'star-console';
const storageKey = 'star.log-in';

interface Begun {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly next: string;
}

/** The realm that logs people in, as Star says. Throws when Star cannot be reached. */
export const realm = async (): Promise<string> => (await installation()).issuer;

const redirectUri = () => `${location.origin}/`;
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const base64url = (bytes: Uint8Array) =>
  btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '');

/** Leaves for the provider's page; it comes back to this page with a code. `next` is where the reader wanted to go. */
export async function beginLogIn(next: string, language: string): Promise<void> {
  const begun: Begun = { state: random(), nonce: random(), verifier: random(), next };
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope: 'openid profile email',
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: base64url(sha256(begun.verifier)),
    code_challenge_method: 'S256',
    ui_locales: language,
  });
  const address = `${await realm()}/protocol/openid-connect/auth?${query}`;
  sessionStorage.setItem(storageKey, JSON.stringify(begun));
  location.assign(address);
}

/** Whether the provider has just sent the reader back, with a code or with a refusal. */
export const cameBack = (): boolean => /[?&](code|error)=/.test(location.search) && /[?&]state=/.test(location.search);

/** Takes the code out of the address and turns it into tokens; undefined when it answers no log-in that this tab began. */
export async function finishLogIn(): Promise<{ readonly tokens: Tokens; readonly next: string } | undefined> {
  const query = new URLSearchParams(location.search);
  const text = sessionStorage.getItem(storageKey);
  sessionStorage.removeItem(storageKey);
  history.replaceState(null, '', `${location.pathname}${location.hash}`);
  const begun = text ? (JSON.parse(text) as Begun) : undefined;
  const code = query.get('code');
  if (!begun || !code || query.get('state') !== begun.state) return undefined;
  const tokens = await ask({ grant_type: 'authorization_code', code, redirect_uri: redirectUri(), code_verifier: begun.verifier });
  const { nonce } = JSON.parse(atob((tokens.id.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))) as { nonce?: string };
  return nonce === begun.nonce ? { tokens, next: begun.next } : undefined;
}

/** New tokens for a refresh token, which works once. */
export const renewTokens = (refresh: string): Promise<Tokens> => ask({ grant_type: 'refresh_token', refresh_token: refresh });

/** Leaves for the provider, which ends the session in this browser and comes back. */
export async function leave(idToken: string): Promise<void> {
  const query = new URLSearchParams({ client_id: clientId, id_token_hint: idToken, post_logout_redirect_uri: redirectUri() });
  location.assign(`${await realm()}/protocol/openid-connect/logout?${query}`);
}

async function ask(fields: Record<string, string>): Promise<Tokens> {
  const asked = Date.now();
  const response = await fetch(`${await realm()}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...fields, client_id: clientId }),
  });
  if (response.status === 400 || response.status === 401) throw new SessionEnded();
  if (!response.ok) throw new Error(`the identity provider answers ${response.status}`);
  const body = (await response.json()) as { access_token: string; refresh_token: string; id_token: string; expires_in: number };
  return { access: body.access_token, refresh: body.refresh_token, id: body.id_token, endsAtMs: asked + body.expires_in * 1000 };
}

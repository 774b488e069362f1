import { createHash, randomBytes } from 'node:crypto';
import { oidcClients } from '../identity/identity-admin';
import type { Browser, Page } from './browser';

export interface TokenAnswer {
  readonly status: number;
  readonly body: {
    readonly access_token?: string;
    readonly refresh_token?: string;
    readonly id_token?: string;
    readonly expires_in?: number;
    readonly error?: string;
  };
}

export interface Pkce {
  readonly verifier: string;
  readonly challenge: string;
}

export function newPkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** The console's side of OpenID Connect, without a browser's help. */
export class OidcClient {
  constructor(
    readonly issuer: string,
    readonly redirectUri: string,
  ) {}

  endpoint(name: 'auth' | 'token' | 'logout' | 'certs' | 'userinfo'): string {
    return `${this.issuer}/protocol/openid-connect/${name}`;
  }

  authorizationUrl(pkce: Pkce, changed: Readonly<Record<string, string | undefined>> = {}): string {
    const asked = {
      client_id: oidcClients.console,
      redirect_uri: this.redirectUri,
      response_type: 'code',
      scope: 'openid',
      state: 'state-1',
      nonce: 'nonce-1',
      code_challenge: pkce.challenge,
      code_challenge_method: 'S256',
      ...changed,
    };
    const given = Object.entries(asked).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `${this.endpoint('auth')}?${new URLSearchParams(given)}`;
  }

  async token(fields: Readonly<Record<string, string>>): Promise<TokenAnswer> {
    const response = await fetch(this.endpoint('token'), { method: 'POST', body: new URLSearchParams(fields) });
    return { status: response.status, body: (await response.json()) as TokenAnswer['body'] };
  }

  exchange(code: string, pkce: Pkce, changed: Readonly<Record<string, string>> = {}): Promise<TokenAnswer> {
    return this.token({
      grant_type: 'authorization_code',
      client_id: oidcClients.console,
      code,
      redirect_uri: this.redirectUri,
      code_verifier: pkce.verifier,
      ...changed,
    });
  }

  refresh(refreshToken: string | undefined, clientId: string = oidcClients.console): Promise<TokenAnswer> {
    return this.token({ grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken ?? '' });
  }

  password(username: string, password: string, clientId: string = oidcClients.cli): Promise<TokenAnswer> {
    return this.token({ grant_type: 'password', client_id: clientId, username, password, scope: 'openid' });
  }

  /** From nothing to the page after name and password: back at the console, or one step further. */
  async enter(browser: Browser, pkce: Pkce, username: string, password: string): Promise<Page> {
    return browser.submit(await browser.get(this.authorizationUrl(pkce)), { username, password });
  }

  /** A whole log-in of a user who has neither a temporary password nor a second factor. */
  async logIn(browser: Browser, username: string, password: string): Promise<TokenAnswer> {
    const pkce = newPkce();
    return this.exchange(codeOf(await this.enter(browser, pkce, username, password)), pkce);
  }
}

/** Of the address the provider sent the browser back to. Throws when it did not. */
export function codeOf(page: Page): string {
  const code = new URL(page.url).searchParams.get('code');
  if (page.status !== 302 || !code)
    throw new Error(`not back at the console but at ${page.url} (${page.status}): ${page.html.slice(0, 2000)}`);
  return code;
}

/** Unchecked. */
export const claimsOf = (token: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from((token ?? '').split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

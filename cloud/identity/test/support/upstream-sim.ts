import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SimulatedUser {
  readonly unionId: string;
  readonly openId: string;
  readonly name: string;
  readonly email?: string;
}

/** A number is an error code of the service, of the token endpoint. */
type Fault = 'none' | 'down' | 'html' | 'hangs' | 'cut' | number;

/**
 * Feishu's and WeChat's log-in as documented, faults included: codes work once and for one redirect address, errors of
 * WeChat come with HTTP 200, and users agree at once.
 */
export class UpstreamSimulator {
  readonly appId = 'cli_a5ca35a685b0x26e';
  readonly appSecret = 'app-secret';
  /** Who is in front of the browser; undefined: refuses. */
  user: SimulatedUser | undefined;
  fault: Fault = 'none';
  /** Every code and token there was. */
  readonly given: string[] = [];
  readonly #codes = new Map<string, { user: SimulatedUser; redirectUri: string; used: boolean }>();
  readonly #tokens = new Map<string, SimulatedUser>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://upstream');
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const page = url.pathname === '/open-apis/authen/v1/authorize' || url.pathname === '/connect/qrconnect';
    if (page) return void this.#agree(url, response);
    if (this.fault === 'down') return void json(502, {});
    if (this.fault === 'hangs') return;
    if (this.fault === 'cut') return void request.socket.destroy();
    if (this.fault === 'html') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    const [what, sent] = [url.pathname, url.searchParams];
    if (what === '/open-apis/authen/v2/oauth/token') {
      if (typeof this.fault === 'number') return void json(this.fault === 20050 ? 500 : 400, { code: this.fault, error: 'some_error' });
      const body = JSON.parse(await textOf(request)) as Record<string, string>;
      if (body.client_id !== this.appId || body.client_secret !== this.appSecret)
        return void json(400, { code: 20002, error: 'invalid_client' });
      const user = this.#redeem(body.code ?? '', body.redirect_uri);
      return void (user
        ? json(200, { code: 0, access_token: this.#token(user), expires_in: 7200 })
        : json(400, { code: 20065, error: 'invalid_grant' }));
    }
    if (what === '/open-apis/authen/v1/user_info') {
      const user = this.#tokens.get((request.headers.authorization ?? '').replace('Bearer ', ''));
      if (!user) return void json(200, { code: 99991663, msg: 'invalid access token' });
      return void json(200, {
        code: 0,
        msg: 'success',
        data: { name: user.name, open_id: user.openId, union_id: user.unionId, email: user.email },
      });
    }
    if (what === '/sns/oauth2/access_token') {
      if (typeof this.fault === 'number') return void json(200, { errcode: this.fault, errmsg: 'some error' });
      if (sent.get('appid') !== this.appId || sent.get('secret') !== this.appSecret)
        return void json(200, { errcode: 40125, errmsg: 'invalid appsecret' });
      const user = this.#redeem(sent.get('code') ?? '');
      if (!user) return void json(200, { errcode: 40163, errmsg: 'code been used' });
      return void json(200, {
        access_token: this.#token(user),
        expires_in: 7200,
        openid: user.openId,
        scope: 'snsapi_login',
        unionid: user.unionId,
      });
    }
    if (what === '/sns/userinfo') {
      const user = this.#tokens.get(sent.get('access_token') ?? '');
      if (!user || sent.get('openid') !== user.openId) return void json(200, { errcode: 40001, errmsg: 'invalid credential' });
      return void json(200, {
        openid: user.openId,
        nickname: user.name,
        sex: 1,
        headimgurl: 'http://127.0.0.1/head.png',
        privilege: [],
        unionid: user.unionId,
      });
    }
    json(404, {});
  }

  #agree(url: URL, response: ServerResponse): void {
    const redirectUri = url.searchParams.get('redirect_uri') ?? '';
    const back = new URL(redirectUri);
    back.searchParams.set('state', url.searchParams.get('state') ?? '');
    if (this.user) {
      const code = randomBytes(12).toString('hex');
      this.given.push(code);
      this.#codes.set(code, { user: this.user, redirectUri, used: false });
      back.searchParams.set('code', code);
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #redeem(code: string, redirectUri?: string): SimulatedUser | undefined {
    const known = this.#codes.get(code);
    if (!known || known.used || (redirectUri !== undefined && redirectUri !== known.redirectUri)) return undefined;
    known.used = true;
    return known.user;
  }

  #token(user: SimulatedUser): string {
    const token = randomBytes(16).toString('hex');
    this.given.push(token);
    this.#tokens.set(token, user);
    return token;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

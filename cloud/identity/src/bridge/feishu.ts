import type { Secret } from '@star/platform';
import { z } from 'zod';
import { askJson, type FailureCause, type Upstream, UpstreamFailure } from './upstream';

export interface FeishuOptions {
  readonly appId: string;
  readonly appSecret: Secret;
  /** Other addresses than the public ones: Lark's, or a simulator's. */
  readonly accountsUrl?: string | undefined;
  readonly apiUrl?: string | undefined;
  /** Of each of the two questions; 10 s unless told. */
  readonly timeoutMs?: number;
}

const tokenAnswer = z.looseObject({ code: z.number(), access_token: z.string().optional() });
const userAnswer = z.looseObject({
  code: z.number(),
  data: z
    .looseObject({
      name: z.string().default(''),
      open_id: z.string(),
      union_id: z.string().optional(),
      email: z.string().optional(),
      enterprise_email: z.string().optional(),
      avatar_url: z.string().optional(),
    })
    .optional(),
});
/**
 * Documented codes of the token endpoint. What is not here, such as 20050 and 20072 (errors of the server) and 99991400 (too
 * many requests), is an outage.
 */
const causes: Readonly<Record<number, FailureCause>> = {
  // Not found, expired, of another application, used, asked for with another address.
  20003: 'code',
  20004: 'code',
  20024: 'code',
  20065: 'code',
  20071: 'code',
  // Gone, outside of the application's availability, suspended.
  20008: 'person',
  20010: 'person',
  20066: 'person',
  // Fields or secret wrong; not installed, not there, not enabled.
  20001: 'setup',
  20002: 'setup',
  20009: 'setup',
  20048: 'setup',
  20069: 'setup',
};

/** Feishu's documented log-in: `authen/v1/authorize`, `authen/v2/oauth/token`, `authen/v1/user_info`. */
export function feishu({
  appId,
  appSecret,
  accountsUrl = 'https://accounts.feishu.cn',
  apiUrl = 'https://open.feishu.cn',
  timeoutMs,
}: FeishuOptions): Upstream {
  return {
    authorizationUrl: (redirectUri, state) =>
      `${accountsUrl}/open-apis/authen/v1/authorize?${new URLSearchParams({ client_id: appId, redirect_uri: redirectUri, response_type: 'code', state })}`,
    identify: async (code, redirectUri) => {
      const body = {
        grant_type: 'authorization_code',
        client_id: appId,
        client_secret: appSecret.reveal(),
        code,
        redirect_uri: redirectUri,
      };
      const headers = { 'content-type': 'application/json; charset=utf-8' };
      const token = await askJson(tokenAnswer, `${apiUrl}/open-apis/authen/v2/oauth/token`, {
        timeoutMs,
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      if (token.code !== 0 || token.access_token === undefined) throw refusal(token.code);
      const user = await askJson(userAnswer, `${apiUrl}/open-apis/authen/v1/user_info`, {
        timeoutMs,
        headers: { authorization: `Bearer ${token.access_token}` },
      });
      if (user.code !== 0 || !user.data) throw refusal(user.code);
      const { open_id, union_id, name, email, enterprise_email, avatar_url } = user.data;
      const address = email || enterprise_email;
      return { subject: union_id || open_id, name, ...(address && { email: address }), ...(avatar_url && { picture: avatar_url }) };
    },
  };
}

const refusal = (code: number) => new UpstreamFailure(causes[code] ?? 'outage', `Feishu: ${code}`);

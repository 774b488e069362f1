import type { Secret } from '@star/platform';
import { z } from 'zod';
import { askJson, bridgeErrors, type Upstream } from './upstream';

export interface FeishuOptions {
  readonly appId: string;
  readonly appSecret: Secret;
  /** Other addresses than the public ones: Lark's, or a simulator's. */
  readonly accountsUrl?: string;
  readonly apiUrl?: string;
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
/** Answers of the token endpoint that mean the authorisation code: invalid, expired, used, of another application. */
const codeRefused = [20003, 20004, 20024, 20010];

/** Feishu's documented log-in: `authen/v1/authorize`, `authen/v2/oauth/token`, `authen/v1/user_info`. */
export function feishu({
  appId,
  appSecret,
  accountsUrl = 'https://accounts.feishu.cn',
  apiUrl = 'https://open.feishu.cn',
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
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      if (token.code !== 0 || token.access_token === undefined) throw refusal(token.code);
      const user = await askJson(userAnswer, `${apiUrl}/open-apis/authen/v1/user_info`, {
        headers: { authorization: `Bearer ${token.access_token}` },
      });
      if (user.code !== 0 || !user.data) throw refusal(user.code);
      const { open_id, union_id, name, email, enterprise_email, avatar_url } = user.data;
      const address = email || enterprise_email;
      return { subject: union_id || open_id, name, ...(address && { email: address }), ...(avatar_url && { picture: avatar_url }) };
    },
  };
}

const refusal = (code: number) =>
  bridgeErrors.error(codeRefused.includes(code) ? 'bridge.code_refused' : 'bridge.upstream_unavailable', {}, new Error(`Feishu: ${code}`));

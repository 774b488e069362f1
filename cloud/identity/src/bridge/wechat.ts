import type { Secret } from '@star/platform';
import { z } from 'zod';
import { askJson, type FailureCause, type Upstream, UpstreamFailure } from './upstream';

export interface WechatOptions {
  readonly appId: string;
  readonly appSecret: Secret;
  /** Other addresses than the public ones: a simulator's. */
  readonly openUrl?: string | undefined;
  readonly apiUrl?: string | undefined;
  /** Of each of the two questions; 10 s unless told. */
  readonly timeoutMs?: number;
}

/** Errors come with HTTP 200, and with these two fields only. */
const failed = { errcode: z.number().optional(), errmsg: z.string().optional() };
const tokenAnswer = z.looseObject({
  ...failed,
  access_token: z.string().optional(),
  openid: z.string().optional(),
  unionid: z.string().optional(),
});
const userAnswer = z.looseObject({
  ...failed,
  openid: z.string().optional(),
  unionid: z.string().optional(),
  nickname: z.string().optional(),
  headimgurl: z.string().optional(),
});
/** Documented codes. What is not here, such as -1 (busy) and 45011 (too many calls), is an outage. */
const causes: Readonly<Record<number, FailureCause>> = {
  // Invalid, used before, expired.
  40029: 'code',
  40163: 'code',
  42003: 'code',
  // Blocked.
  40226: 'person',
  50002: 'person',
  // Of the application: its id, its secret, its right to this interface.
  40001: 'setup',
  40013: 'setup',
  40125: 'setup',
  48001: 'setup',
};

/** WeChat's log-in for web sites by QR: `connect/qrconnect`, `sns/oauth2/access_token`, `sns/userinfo`. */
export function wechat({
  appId,
  appSecret,
  openUrl = 'https://open.weixin.qq.com',
  apiUrl = 'https://api.weixin.qq.com',
  timeoutMs,
}: WechatOptions): Upstream {
  return {
    authorizationUrl: (redirectUri, state) =>
      `${openUrl}/connect/qrconnect?${new URLSearchParams({ appid: appId, redirect_uri: redirectUri, response_type: 'code', scope: 'snsapi_login', state })}#wechat_redirect`,
    identify: async (code) => {
      const asked = new URLSearchParams({ appid: appId, secret: appSecret.reveal(), code, grant_type: 'authorization_code' });
      const token = await askJson(tokenAnswer, `${apiUrl}/sns/oauth2/access_token?${asked}`, { timeoutMs });
      if (token.errcode || !token.access_token || !token.openid) throw refusal(token.errcode);
      const who = new URLSearchParams({ access_token: token.access_token, openid: token.openid });
      const user = await askJson(userAnswer, `${apiUrl}/sns/userinfo?${who}`, { timeoutMs });
      if (user.errcode) throw refusal(user.errcode);
      return {
        subject: user.unionid || token.unionid || token.openid,
        name: user.nickname ?? '',
        ...(user.headimgurl && { picture: user.headimgurl }),
      };
    },
  };
}

const refusal = (errcode: number | undefined) => new UpstreamFailure(causes[errcode ?? 0] ?? 'outage', `WeChat: ${errcode ?? 'no person'}`);

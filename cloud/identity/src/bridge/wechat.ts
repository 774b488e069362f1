import type { Secret } from '@star/platform';
import { z } from 'zod';
import { askJson, bridgeErrors, type Upstream } from './upstream';

export interface WechatOptions {
  readonly appId: string;
  readonly appSecret: Secret;
  /** Other addresses than the public ones: a simulator's. */
  readonly openUrl?: string;
  readonly apiUrl?: string;
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
/** Code invalid, used before, expired. */
const codeRefused = [40029, 40163, 42003];

/** WeChat's log-in for web sites by QR: `connect/qrconnect`, `sns/oauth2/access_token`, `sns/userinfo`. */
export function wechat({
  appId,
  appSecret,
  openUrl = 'https://open.weixin.qq.com',
  apiUrl = 'https://api.weixin.qq.com',
}: WechatOptions): Upstream {
  return {
    authorizationUrl: (redirectUri, state) =>
      `${openUrl}/connect/qrconnect?${new URLSearchParams({ appid: appId, redirect_uri: redirectUri, response_type: 'code', scope: 'snsapi_login', state })}#wechat_redirect`,
    identify: async (code) => {
      const asked = new URLSearchParams({ appid: appId, secret: appSecret.reveal(), code, grant_type: 'authorization_code' });
      const token = await askJson(tokenAnswer, `${apiUrl}/sns/oauth2/access_token?${asked}`);
      if (token.errcode || !token.access_token || !token.openid) throw refusal(token.errcode);
      const who = new URLSearchParams({ access_token: token.access_token, openid: token.openid });
      const user = await askJson(userAnswer, `${apiUrl}/sns/userinfo?${who}`);
      if (user.errcode) throw refusal(user.errcode);
      return {
        subject: user.unionid || token.unionid || token.openid,
        name: user.nickname ?? '',
        ...(user.headimgurl && { picture: user.headimgurl }),
      };
    },
  };
}

const refusal = (errcode: number | undefined) =>
  bridgeErrors.error(
    codeRefused.includes(errcode ?? 0) ? 'bridge.code_refused' : 'bridge.upstream_unavailable',
    {},
    new Error(`WeChat: ${errcode}`),
  );

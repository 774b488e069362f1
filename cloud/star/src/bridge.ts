import { type BridgedService, feishu, registerBridge, wechat } from '@star/identity';
import { type Log, loadSigningKey, Secret } from '@star/platform';
import type { FastifyInstance } from 'fastify';
import { issuerOf } from './identity';
import { bridgeKeyPath, lastingSecret } from './secrets';
import type { AppSettings } from './settings';

/** Log-in with Feishu and WeChat, for the Keycloak of the settings; addresses that answer 404 where none is configured. */
export async function serveBridge(fastify: FastifyInstance, settings: AppSettings, log: Log): Promise<void> {
  const { STAR_BRIDGE_SECRET: secret, STAR_DATA: data } = settings;
  if (secret === undefined) return registerBridge(fastify, undefined);
  await registerBridge(fastify, {
    publicUrl: new URL(settings.STAR_PUBLIC_URL).origin,
    services: servicesOf(settings),
    client: { id: 'keycloak', secret: new Secret(secret) },
    key: await loadSigningKey(bridgeKeyPath(data)),
    sealKey: await lastingSecret(data, 'bridge'),
    log,
  });
}

/** Each where it has its application. */
function servicesOf(settings: AppSettings): Record<string, BridgedService> {
  const redirectUri = (name: string) => `${issuerOf(settings)}/broker/${name}/endpoint`;
  const { STAR_FEISHU_APP_ID, STAR_FEISHU_APP_SECRET, STAR_FEISHU_ACCOUNTS_URL, STAR_FEISHU_API_URL } = settings;
  const { STAR_WECHAT_APP_ID, STAR_WECHAT_APP_SECRET, STAR_WECHAT_OPEN_URL, STAR_WECHAT_API_URL } = settings;
  const services: Record<string, BridgedService> = {};
  if (STAR_FEISHU_APP_ID && STAR_FEISHU_APP_SECRET) {
    const app = { appId: STAR_FEISHU_APP_ID, appSecret: new Secret(STAR_FEISHU_APP_SECRET) };
    const upstream = feishu({ ...app, accountsUrl: STAR_FEISHU_ACCOUNTS_URL, apiUrl: STAR_FEISHU_API_URL });
    services.feishu = { upstream, redirectUri: redirectUri('feishu') };
  }
  if (STAR_WECHAT_APP_ID && STAR_WECHAT_APP_SECRET) {
    const app = { appId: STAR_WECHAT_APP_ID, appSecret: new Secret(STAR_WECHAT_APP_SECRET) };
    const upstream = wechat({ ...app, openUrl: STAR_WECHAT_OPEN_URL, apiUrl: STAR_WECHAT_API_URL });
    services.wechat = { upstream, redirectUri: redirectUri('wechat') };
  }
  return services;
}

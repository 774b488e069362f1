/** The embedded identity provider: log-in, sessions, second factors, and the users it keeps. */
import { join } from 'node:path';

export { type BridgedService, type BridgeOptions, feishu, registerBridge, wechat } from './bridge';
export type { IdentityDeps } from './deps';
export { endTokens, isTokenGood } from './end-tokens';
export { createRealm, registerRealm } from './mount';
export { createUserAdmin } from './user-admin';

/** For `migrate(url, 'identity', identityMigrations)`; before tenants' migrations, whose users it takes over. */
export const identityMigrations = join(__dirname, '../migrations');

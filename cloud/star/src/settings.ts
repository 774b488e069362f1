import { resolve } from 'node:path';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);
const mqttUrl = z.url({ protocol: /^mqtts?$/ });
const keepDays = z.coerce.number().min(1).max(36_500).default(30);

/** A Keycloak with the realm of `cloud/identity/keycloak/star-realm.json`; without it Star's own provider logs people in. */
const keycloak = {
  /** Without a slash at the end: `https://id.example.org`. */
  STAR_KEYCLOAK_URL: z.url().optional(),
  STAR_KEYCLOAK_REALM: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .default('star'),
  /** Of the client `star-admin`. */
  STAR_KEYCLOAK_SECRET: z.string().min(16).optional(),
};

/** Log-in with Feishu and WeChat through that Keycloak: docs/guides/log-in-with-feishu-and-wechat.md. */
const bridge = {
  /** Of the client `keycloak` of our bridge; the realm file's STAR_BRIDGE_SECRET. */
  STAR_BRIDGE_SECRET: z.string().min(32).optional(),
  STAR_FEISHU_APP_ID: z.string().optional(),
  STAR_FEISHU_APP_SECRET: z.string().optional(),
  /** Without a slash at the end; Feishu's own unless told, for Lark `https://accounts.larksuite.com` and `https://open.larksuite.com`. */
  STAR_FEISHU_ACCOUNTS_URL: z.url().optional(),
  STAR_FEISHU_API_URL: z.url().optional(),
  STAR_WECHAT_APP_ID: z.string().optional(),
  STAR_WECHAT_APP_SECRET: z.string().optional(),
  /** WeChat's own unless told, for a proxy on the way there. */
  STAR_WECHAT_OPEN_URL: z.url().optional(),
  STAR_WECHAT_API_URL: z.url().optional(),
};
export const bridgeSettingNames = Object.keys(bridge) as (keyof typeof bridge)[];

type Name = keyof typeof bridge | keyof typeof keycloak;
/** Settings that mean nothing without another one. */
const needs: readonly (readonly [Name, Name])[] = [
  ['STAR_KEYCLOAK_URL', 'STAR_KEYCLOAK_SECRET'],
  ['STAR_BRIDGE_SECRET', 'STAR_KEYCLOAK_URL'],
  ['STAR_FEISHU_APP_ID', 'STAR_FEISHU_APP_SECRET'],
  ['STAR_FEISHU_APP_SECRET', 'STAR_FEISHU_APP_ID'],
  ['STAR_FEISHU_APP_ID', 'STAR_BRIDGE_SECRET'],
  ['STAR_WECHAT_APP_ID', 'STAR_WECHAT_APP_SECRET'],
  ['STAR_WECHAT_APP_SECRET', 'STAR_WECHAT_APP_ID'],
  ['STAR_WECHAT_APP_ID', 'STAR_BRIDGE_SECRET'],
];

/** A start with a half of them would look like one with all, until somebody wants to log in. */
function refuseHalves(settings: { readonly [K in Name]?: string | undefined }, context: z.RefinementCtx): void {
  const refuse = (name: Name, message: string) => context.addIssue({ code: 'custom', path: [name], message });
  for (const [given, needed] of needs)
    if (settings[given] !== undefined && settings[needed] === undefined) refuse(needed, `missing, and ${given} needs it`);
  if (settings.STAR_BRIDGE_SECRET !== undefined && !settings.STAR_FEISHU_APP_ID && !settings.STAR_WECHAT_APP_ID)
    refuse('STAR_BRIDGE_SECRET', 'given, but neither STAR_FEISHU_APP_ID nor STAR_WECHAT_APP_ID is');
}

const settings = z.object({
  /** Folder for everything the embedded parts keep. */
  STAR_DATA: z
    .string()
    .min(1)
    .transform((path) => resolve(path)),
  /** `all`: every service in one process. `services`: one process each, behind a gateway. */
  STAR_SHAPE: z.enum(['all', 'services']).default('all'),
  STAR_HOST: z.string().default('127.0.0.1'),
  STAR_HTTP_PORT: port.default(8080),
  STAR_MQTT_PORT: port.default(1883),
  /** How boxes and browsers reach Star: signed addresses start with it, and people log in under it. `http://<host>:<http port>` unless told. */
  STAR_PUBLIC_URL: z.url().optional(),
  /** How boxes reach Star, as whoever connects one is told. `mqtt://<host of STAR_PUBLIC_URL>:<mqtt port>` unless told. */
  STAR_PUBLIC_MQTT_URL: mqttUrl.optional(),
  /** Kafka brokers, comma separated; without them the bus is the log in PostgreSQL. */
  STAR_KAFKA_BROKERS: z.string().optional(),
  ...keycloak,
  ...bridge,
  /** Addresses or networks of the proxies in front, comma separated: their `x-forwarded-for` is believed. */
  STAR_TRUSTED_PROXIES: z.string().optional(),
  /** An external PostgreSQL; both or neither. Without them one is started under STAR_DATA. */
  STAR_DATABASE_URL: z.url().optional(),
  STAR_DATABASE_OWNER_URL: z.url().optional(),
  /**
   * Redis for Star on several machines: the cache, and where replicas of the gateway count calls together. Without it
   * processes keep what they know in memory, tell each other over PostgreSQL, and each counts for itself.
   */
  STAR_REDIS_URL: z.url().optional(),
  /** An external ClickHouse; without it chdb is started under STAR_DATA. */
  STAR_CLICKHOUSE_URL: z.url().optional(),
  STAR_CLICKHOUSE_USER: z.string().default('default'),
  STAR_CLICKHOUSE_PASSWORD: z.string().default(''),
  /** Where a Mizar answers (`unix:…` or `host:port`); without it STAR_MIZAR_PROGRAM is started with STAR_PACK. */
  STAR_MIZAR: z.string().optional(),
  STAR_MIZAR_PROGRAM: z.string().optional(),
  STAR_PACK: z.string().optional(),
  /** Main script of the `dipper` command: it checks and unpacks packs that are assigned to tenants. Without it all have STAR_PACK. */
  STAR_MODELS_PROGRAM: z.string().optional(),
  /** Mizars for assigned packs that run at once, beside the one with STAR_PACK; some 300 MB each. */
  STAR_MAX_MIZARS: z.coerce.number().int().min(1).max(256).default(4),
  /** Assigned packs that are kept unpacked. */
  STAR_MAX_PACKS: z.coerce.number().int().min(1).max(10_000).default(32),
  /** The built console; not served when absent. */
  STAR_CONSOLE: z.string().optional(),
  /** Opened at the first start, when there is no tenant yet and never was one, with a community of the same name in it. */
  STAR_FIRST_TENANT: z.string().optional(),
  STAR_FIRST_ADMIN: z.string().default('admin'),
  STAR_FIRST_PASSWORD: z.string().min(8).optional(),
  /** The provider's own first user, who opens and looks after tenants; made at the first start with this password, otherwise not. */
  STAR_PLATFORM_ADMIN: z.string().default('platform'),
  STAR_PLATFORM_PASSWORD: z.string().min(8).optional(),
  /** How long an operator can look at calls to boxes that have ended. */
  STAR_RPC_KEEP_DAYS: keepDays,
  STAR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});
/** Settings of `star`; each is an environment variable. What has a default needs none. */
export const starSettings = settings.superRefine(refuseHalves);
export type StarSettings = z.infer<typeof starSettings>;

export const roles = ['all', 'tenants', 'devices', 'search', 'gateway'] as const;
export type Role = (typeof roles)[number];

/** What the supervisor tells one of its application processes: where the parts it started are. */
export const appSettings = z.object({
  STAR_ROLE: z.enum(roles),
  STAR_DATA: z.string(),
  /** Of the boxes' connections. */
  STAR_HOST: z.string(),
  /** What only the gateway asks listens to nobody outside. */
  STAR_HTTP_HOST: z.string(),
  STAR_HTTP_PORT: port,
  STAR_MQTT_PORT: port,
  STAR_PUBLIC_URL: z.url(),
  STAR_PUBLIC_MQTT_URL: mqttUrl.optional(),
  STAR_DATABASE_URL: z.url(),
  STAR_CLICKHOUSE_URL: z.url(),
  STAR_CLICKHOUSE_USER: z.string(),
  STAR_CLICKHOUSE_PASSWORD: z.string().default(''),
  STAR_MIZAR: z.string(),
  /** Of the supervisor's PacksService. */
  STAR_PACKS_ADDRESS: z.string(),
  STAR_KAFKA_BROKERS: z.string().optional(),
  ...keycloak,
  ...bridge,
  STAR_REDIS_URL: z.url().optional(),
  STAR_TRUSTED_PROXIES: z.string().optional(),
  STAR_RPC_KEEP_DAYS: keepDays,
  STAR_CONSOLE: z.string().optional(),
  STAR_FIRST_TENANT: z.string().optional(),
  STAR_FIRST_ADMIN: z.string().optional(),
  STAR_FIRST_PASSWORD: z.string().optional(),
  STAR_PLATFORM_ADMIN: z.string().optional(),
  STAR_PLATFORM_PASSWORD: z.string().optional(),
  /** Of the devices service, for the others; shape `services` only. */
  STAR_DEVICES_ADDRESS: z.string().optional(),
  /** Base addresses of the services, for the gateway. */
  STAR_UPSTREAM_TENANTS: z.url().optional(),
  STAR_UPSTREAM_DEVICES: z.url().optional(),
  STAR_UPSTREAM_SEARCH: z.url().optional(),
  STAR_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});
export type AppSettings = z.infer<typeof appSettings>;

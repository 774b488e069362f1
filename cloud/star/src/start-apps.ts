import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ChildProgram, KeptChild } from './kept-child';
import type { Parts } from './parts';
import { serviceSocket } from './service-socket';
import { bridgeSettingNames, type Role, type StarSettings } from './settings';

type Keep = (program: ChildProgram) => Promise<KeptChild>;

/** Port 0 becomes a free one now: signed addresses name it, and a process that is started again must be found where it was. */
export async function withPorts(settings: StarSettings): Promise<StarSettings> {
  return {
    ...settings,
    STAR_HTTP_PORT: settings.STAR_HTTP_PORT || (await freePort(settings.STAR_HOST)),
    STAR_MQTT_PORT: settings.STAR_MQTT_PORT || (await freePort(settings.STAR_HOST)),
  };
}

/** Starts the application processes of the shape; the last one's `ready` has the address people use. */
export async function startApps(settings: StarSettings, parts: Parts, console: string | undefined, keep: Keep): Promise<KeptChild[]> {
  const publicUrl = settings.STAR_PUBLIC_URL ?? `http://${settings.STAR_HOST}:${settings.STAR_HTTP_PORT}`;
  const start = (role: Role, own: Record<string, string | undefined>) =>
    keep({
      name: role === 'all' ? 'app' : role,
      script: join(__dirname, 'app-main.js'),
      env: { ...shared(settings, parts, publicUrl), STAR_ROLE: role, ...own },
    });
  if (settings.STAR_SHAPE === 'all')
    return [await start('all', { STAR_HTTP_PORT: String(settings.STAR_HTTP_PORT), STAR_CONSOLE: console })];
  const socket = await serviceSocket(settings.STAR_DATA, 'devices');
  const ports = { tenants: await freePort(), devices: await freePort(), search: await freePort() };
  const services = await Promise.all(
    (['tenants', 'devices', 'search'] as const).map((role) =>
      start(role, { STAR_HTTP_HOST: '127.0.0.1', STAR_HTTP_PORT: String(ports[role]), STAR_DEVICES_ADDRESS: `unix:${socket}` }),
    ),
  );
  const gateway = await start('gateway', {
    STAR_HTTP_PORT: String(settings.STAR_HTTP_PORT),
    STAR_CONSOLE: console,
    STAR_UPSTREAM_TENANTS: `http://127.0.0.1:${ports.tenants}`,
    STAR_UPSTREAM_DEVICES: `http://127.0.0.1:${ports.devices}`,
    STAR_UPSTREAM_SEARCH: `http://127.0.0.1:${ports.search}`,
  });
  return [...services, gateway];
}

/** The whole environment of an application process: nothing of ours is inherited by accident. */
function shared(settings: StarSettings, parts: Parts, publicUrl: string): Record<string, string | undefined> {
  return {
    STAR_DATA: settings.STAR_DATA,
    STAR_HOST: settings.STAR_HOST,
    STAR_HTTP_HOST: settings.STAR_HOST,
    STAR_MQTT_PORT: String(settings.STAR_MQTT_PORT),
    STAR_PUBLIC_URL: publicUrl,
    STAR_PUBLIC_MQTT_URL: settings.STAR_PUBLIC_MQTT_URL,
    STAR_DATABASE_URL: parts.databaseUrl,
    STAR_CLICKHOUSE_URL: parts.clickhouse.url,
    STAR_CLICKHOUSE_USER: parts.clickhouse.user,
    STAR_CLICKHOUSE_PASSWORD: parts.clickhouse.password,
    STAR_MIZAR: parts.mizar,
    STAR_PACKS_ADDRESS: parts.packs,
    STAR_KAFKA_BROKERS: settings.STAR_KAFKA_BROKERS,
    STAR_KEYCLOAK_URL: settings.STAR_KEYCLOAK_URL,
    STAR_KEYCLOAK_REALM: settings.STAR_KEYCLOAK_REALM,
    STAR_KEYCLOAK_SECRET: settings.STAR_KEYCLOAK_SECRET,
    ...Object.fromEntries(bridgeSettingNames.map((name) => [name, settings[name]])),
    STAR_REDIS_URL: settings.STAR_REDIS_URL,
    STAR_TRUSTED_PROXIES: settings.STAR_TRUSTED_PROXIES,
    STAR_RPC_KEEP_DAYS: String(settings.STAR_RPC_KEEP_DAYS),
    STAR_FIRST_TENANT: settings.STAR_FIRST_TENANT,
    STAR_FIRST_ADMIN: settings.STAR_FIRST_ADMIN,
    STAR_FIRST_PASSWORD: settings.STAR_FIRST_PASSWORD,
    STAR_PLATFORM_ADMIN: settings.STAR_PLATFORM_ADMIN,
    STAR_PLATFORM_PASSWORD: settings.STAR_PLATFORM_PASSWORD,
    STAR_LOG_LEVEL: settings.STAR_LOG_LEVEL,
  };
}

const freePort = (host = '127.0.0.1'): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

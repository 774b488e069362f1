import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuditEntry,
  createTokenVerifier,
  type IdentityAdmin,
  loadSigningKey,
  openLocalCache,
  publicPart,
  type TokenVerifier,
  tokenAudience,
} from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import fastify, { type FastifyInstance } from 'fastify';
import { createUserAdmin, endTokens, identityMigrations, isTokenGood, registerRealm } from '../src';

/** The embedded provider over HTTP on a real PostgreSQL; only the clock is ours. */
export interface World {
  readonly issuer: string;
  readonly redirectUri: string;
  readonly database: TestDatabase;
  readonly admin: IdentityAdmin;
  readonly verifier: TokenVerifier;
  readonly audited: AuditEntry[];
  readonly errors: unknown[];
  /** The provider's clock; it stands still, so that a slow machine changes nothing. The true time when absent. */
  nowMs: number | undefined;
  /** Ends the server and starts another one at the same address, from the same database and secrets. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const redirectUri = 'http://console.test/';

export async function openWorld(scheme: 'http' | 'https' = 'http'): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'star-identity-'));
  const database = await testDatabase([{ service: 'identity', folder: identityMigrations }]);
  const port = await freePort();
  const issuer = `${scheme}://127.0.0.1:${port}/realms/star`;
  const signingKey = await loadSigningKey(join(folder, 'key.json'));
  const audited: AuditEntry[] = [];
  const errors: unknown[] = [];
  const cache = await openLocalCache({ db: database.db });
  let server: FastifyInstance | undefined;
  const start = async () => {
    server = fastify();
    await registerRealm(server, {
      database: database.db,
      audit: async (_tx, entry) => void audited.push(entry),
      issuer,
      signingKey,
      endTokens: endTokens({ cache }),
      isTokenGood: isTokenGood({ database: database.db, cache }),
      secret: Buffer.alloc(32, 7),
      redirectUris: [redirectUri],
      now: () => new Date(world.nowMs ?? Date.now()),
      onError: (error) => errors.push(error),
    });
    await server.listen({ port, host: '127.0.0.1' });
  };
  const world: World = {
    issuer,
    redirectUri,
    database,
    audited,
    errors,
    admin: createUserAdmin({ database: database.db }),
    verifier: createTokenVerifier({
      issuer,
      audience: tokenAudience,
      keys: { keys: [publicPart(signingKey)] },
      isGood: isTokenGood({ database: database.db, cache }),
    }),
    nowMs: undefined,
    restart: async () => {
      await server?.close();
      await start();
      // Connections kept to the old server are found dead at their next use.
      for (let tries = 0; tries < 20; tries++) {
        if (
          await fetch(`${issuer}/.well-known/openid-configuration`).then(
            ({ ok }) => ok,
            () => false,
          )
        )
          return;
      }
    },
    close: async () => {
      await server?.close();
      await cache.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await start();
  return world;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

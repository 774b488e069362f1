/**
 * What the checks of the entrance cost a request: token, calls per minute in memory and in Redis, everything together.
 * Requests are injected, so that no socket is measured; each figure is the best of rounds that take turns.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countInMemory, countInRedis, type EntranceOptions, guardEntrance } from '@star/gateway';
import { authErrors, type Caller, createTokenIssuer, createTokenVerifier, loadSigningKey, type TokenVerifier } from '@star/platform';
import { callerOf, identify } from '@star/platform/nest';
import fastify, { type FastifyInstance } from 'fastify';

const requests = 300;
const rounds = 40;
const path = '/api/v1/people';
const realm = { issuer: 'http://star.bench', audience: 'star' };
const folder = await mkdtemp(join(tmpdir(), 'star-entrance-bench-'));
const tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
const verifier = createTokenVerifier({ ...realm, keys: tokens.jwks });
const caller: Caller = { tenantId: randomUUID(), userId: randomUUID(), username: 'lin', roles: ['operator'] };
const { token } = await tokens.issue(caller);
const believing: TokenVerifier = {
  verify: async (text) => (text === token ? caller : Promise.reject(authErrors.error('auth.token_invalid'))),
};
const apiLimitsOf = async () => ({ tenant: 1e9, user: 1e9, key: 1e9 });

interface Case {
  readonly name: string;
  readonly app: FastifyInstance;
  bestUs: number;
}

/** `service`: what the service behind does in any case. */
function aCase(name: string, entrance?: Partial<EntranceOptions>, service?: TokenVerifier): Case {
  const app = fastify();
  if (entrance) guardEntrance(app, { verifier, apiLimitsOf, ...entrance });
  app.get(path, async (request) => {
    if (service) await identify(request, service);
    return { items: [], caller: callerOf(request)?.userId };
  });
  return { name, app, bestUs: Number.POSITIVE_INFINITY };
}

async function run(app: FastifyInstance): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const started = performance.now();
  for (let n = 0; n < requests; n++) {
    const { statusCode } = await app.inject({ url: path, headers });
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
  }
  return ((performance.now() - started) * 1000) / requests;
}

async function startRedis(): Promise<{ url: string; process: ChildProcess } | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    { stdio: 'ignore' },
  );
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return { url: `redis://127.0.0.1:${port}`, process: child };
}

const redis = await startRedis();
const bare = aCase('nothing checked');
const guarded = aCase('the service checks the token', undefined, verifier);
const cases = [
  bare,
  guarded,
  aCase('entrance without the token’s signature', { verifier: believing }, believing),
  aCase('entrance and service in one process', { counters: countInMemory() }, verifier),
  ...(redis ? [aCase('the same, calls counted in Redis', { counters: countInRedis({ url: redis.url }) }, verifier)] : []),
];
for (const { app } of cases) await run(app);
for (let round = 0; round < rounds; round++) for (const each of cases) each.bestUs = Math.min(each.bestUs, await run(each.app));
for (const { name, bestUs } of cases)
  console.log(
    `${name.padEnd(42)} ${bestUs.toFixed(0).padStart(5)} µs per request, ${(bestUs - bare.bestUs).toFixed(0).padStart(4)} more than nothing`,
  );
const together = cases[3] as Case;
console.log(
  `with the gateway's hooks a checked request takes ${(together.bestUs / guarded.bestUs).toFixed(2)} times what it takes without`,
);
for (const { app } of cases) await app.close();
redis?.process.kill('SIGKILL');
await rm(folder, { recursive: true, force: true });

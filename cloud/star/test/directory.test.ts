/** Real gRPC over a socket; only what answers behind it is made up. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Server, status } from '@grpc/grpc-js';
import { type Devices, devicesErrors, devicesGrpcService } from '@star/devices';
import { AppError } from '@star/platform';
import { connectDirectory } from '../src/directory';
import { serveInside } from '../src/serve-inside';

const tenantId = '11111111-1111-4111-8111-111111111111';
const edgeId = '22222222-2222-4222-8222-222222222222';

let folder: string;
let address: string;
let server: Server | undefined;
let client: ReturnType<typeof connectDirectory>;
let askEdge: Devices['askEdge'];

const serve = () =>
  serveInside(address, [devicesGrpcService({ askEdge: (...q: Parameters<Devices['askEdge']>) => askEdge(...q) } as unknown as Devices)]);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'star-directory-'));
  address = `unix:${join(folder, 'devices.sock')}`;
  server = await serve();
  client = connectDirectory(address);
});
afterEach(() => {
  client.close();
  server?.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (timeoutMs = 5000) => client.askEdge(tenantId, edgeId, 'estimateTask', '{}', timeoutMs);

it('answers as in one process, errors with their kind among it', async () => {
  askEdge = async (_tenant, _edge, method) => ({ replyJson: `{"to":"${method}"}` }) as Awaited<ReturnType<Devices['askEdge']>>;
  expect(await ask()).toBe('{"to":"estimateTask"}');
  for (const error of [
    devicesErrors.error('edge.not_found', { edgeId }),
    devicesErrors.error('edge.offline', { edgeId }),
    new AppError('thing.gone', 'gone'),
  ]) {
    askEdge = () => Promise.reject(error);
    await expect(ask()).rejects.toMatchObject({ code: error.code, kind: error.kind, params: error.params });
  }
  askEdge = () => Promise.reject(new Error('SELECT secret'));
  const inside = await ask().catch((error: unknown) => error);
  expect(inside).toMatchObject({ code: 'internal', kind: 'internal' });
  expect(JSON.stringify(inside)).not.toContain('secret');
});

it('says late when devices does not answer in time, and nothing of its own is left waiting', async () => {
  askEdge = () => new Promise(() => undefined);
  await expect(ask(1)).rejects.toMatchObject({ code: 'devices.timeout', retry: true, cause: { code: status.DEADLINE_EXCEEDED } });
});

it('says down when devices is gone, and goes on over a socket that was left behind', async () => {
  askEdge = async () => ({ replyJson: '{}' }) as Awaited<ReturnType<Devices['askEdge']>>;
  expect(await ask()).toBe('{}');
  server?.forceShutdown();
  await expect(ask()).rejects.toMatchObject({ code: 'devices.unavailable', retry: true });
  server = await serve();
  for (let tries = 0; ; tries++) {
    const answer = await ask().catch((error: AppError) => error);
    if (answer === '{}') break;
    expect([tries < 100, answer]).toEqual([true, expect.objectContaining({ code: 'devices.unavailable' })]);
    await new Promise((done) => setTimeout(done, 100));
  }
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { SimulatedRecorder } from './recorder';

/**
 * A second port, on loopback only, to switch faults of running recorders:
 * `PUT /_sim/faults[?recorder=n]` with a JSON object of faults, `GET /_sim/stats[?recorder=n]`, `GET /_sim/faults[?recorder=n]`.
 */
export async function startControl(
  recorders: readonly SimulatedRecorder[],
  port = 0,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://control');
    const recorder = recorders[Number(url.searchParams.get('recorder') ?? 0)];
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (!recorder) return answer(404, { error: 'no such recorder' });
    if (request.method === 'GET' && url.pathname === '/_sim/stats') return answer(200, recorder.stats());
    if (request.method === 'GET' && url.pathname === '/_sim/faults') return answer(200, recorder.faults());
    if (request.method !== 'PUT' || url.pathname !== '/_sim/faults') return answer(404, { error: 'unknown address' });
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.length > 65_536) request.destroy();
    });
    request.on('end', () => {
      try {
        recorder.setFaults(z.record(z.string(), z.unknown()).parse(JSON.parse(text)));
        answer(200, recorder.faults());
      } catch (error) {
        answer(400, { error: error instanceof Error ? error.message : 'malformed' });
      }
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', () => resolve()));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

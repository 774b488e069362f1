import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Module } from '@nestjs/common';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { registerEntrance } from '../src/entrance';

@Module({})
class Nothing {}

let app: HttpApp;
let base: string;
let service: Server;
let seen: { request: IncomingMessage; body: Buffer }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  service = createServer(async (request, response) => {
    seen.push({ request, body: await buffer(request) });
    answer(request, response);
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const alive = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  app = await createHttpApp(Nothing, {
    verifier: { verify: () => Promise.reject(new Error('not asked')) },
    extend: (fastify) => registerEntrance(fastify, { tenants: alive, search: alive, devices: 'http://127.0.0.1:1' }),
  });
  base = await app.listen();
});
afterAll(async () => {
  await app.close();
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});
beforeEach(() => {
  seen = [];
  answer = (_request, response) => response.end('{}');
});

it('passes bodies of every kind on as they are, and no header that claims who is asking', async () => {
  const photo = Buffer.from([0xff, 0xd8, 0, 1, 2, 3]);
  const headers = { 'x-tenant-id': 'another', 'x-roles': 'admin', authorization: 'Bearer x' };
  await fetch(`${base}/api/v1/people/1/photos`, { method: 'POST', body: photo, headers: { ...headers, 'content-type': 'image/jpeg' } });
  await fetch(`${base}/api/v1/users?x=1`, { method: 'POST', body: '{"a": 1 }', headers: { 'content-type': 'application/json' } });
  expect(seen.map(({ request }) => request.url)).toEqual(['/api/v1/people/1/photos', '/api/v1/users?x=1']);
  expect(seen.map(({ body }) => body.toString('latin1'))).toEqual([photo.toString('latin1'), '{"a": 1 }']);
  expect(seen[0]?.request.headers).toMatchObject({ authorization: 'Bearer x', 'content-type': 'image/jpeg' });
  expect(Object.keys(seen[0]?.request.headers ?? {})).not.toEqual(expect.arrayContaining(['x-tenant-id']));
  expect(Object.keys(seen[0]?.request.headers ?? {})).not.toEqual(expect.arrayContaining(['x-roles']));
});

it('passes events on as they come, not when the stream ends', async () => {
  let more: (text: string) => void = () => undefined;
  answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: search\n\n');
    more = (text) => response.end(text);
  };
  const response = await fetch(`${base}/api/v1/searches/1/events`, { headers: { accept: 'text/event-stream' } });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('event: search\n\n');
  more('event: match\n\n');
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('event: match\n\n');
});

it('answers for a service that is down, and knows no other path', async () => {
  const down = await fetch(`${base}/api/v1/edges`);
  expect([down.status, down.headers.get('content-type')]).toEqual([503, expect.stringContaining('application/problem+json')]);
  expect(await down.json()).toMatchObject({ code: 'service.unavailable', traceId: expect.stringMatching(/^[0-9a-f]{32}$/) });
  const unknown = await fetch(`${base}/api/v1/nothing`);
  expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, 'route.not_found']);
});

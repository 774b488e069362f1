/** Downloads from a real HTTP server that has the faults of real ones. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Backoff } from '@dipper/platform';
import { type DownloadSettings, download } from '../src/models/download';
import type { Progress } from '../src/models/progress';
import { type Answer, droppedAfter, FaultyServer, honest, nameless, silentAfter, status, whole } from './support/faulty-server';

const kib = 1024;
const bytes = randomBytes(400 * kib);
const sha256 = createHash('sha256').update(bytes).digest('hex');
let server: FaultyServer;
let folder: string;
let path: string;
let waits: number[];
let shown: [number, number | undefined][];
beforeEach(async () => {
  server = await FaultyServer.start();
  folder = mkdtempSync(join(tmpdir(), 'download-'));
  path = join(folder, 'part');
  waits = [];
  shown = [];
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const progress: Progress = { step: () => undefined, bytes: (_, done, total) => shown.push([done, total]), end: () => undefined };

function get(plan: Answer[], more: { sha256?: string; maxBytes?: number; address?: string } = {}, idleMs = 20_000): Promise<void> {
  server.plan.splice(0, Number.POSITIVE_INFINITY, ...plan);
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const settings: DownloadSettings = { clock: { now: Date.now, sleep }, backoff: new Backoff(100, 1000), idleMs, tries: 4 };
  const { address, ...rest } = more;
  const url = address ?? server.serve('/pack', bytes);
  return download({ url, path, maxBytes: 10 * 1024 * kib, what: 'pack', ...rest }, progress, settings);
}
const arrived = (): boolean => readFileSync(path).equals(bytes);

test('a whole file, and its size for who waits', async () => {
  await get([], { sha256 });
  expect(arrived()).toBe(true);
  expect(server.requests).toEqual(['/pack']);
  expect(shown.at(-1)).toEqual([bytes.length, bytes.length]);
});

test('after each break it goes on where it was, waiting longer while nothing comes', async () => {
  await get([droppedAfter(100 * kib), status(503), status(429), droppedAfter(150 * kib)], { sha256 });
  expect(arrived()).toBe(true);
  const from = server.requests.map((request) => Number(/bytes=(\d+)-/.exec(request)?.[1] ?? 0));
  expect(from).toEqual([0, 100 * kib, 100 * kib, 100 * kib, 250 * kib]);
  expect(waits).toHaveLength(4);
  expect(waits[2]).toBeGreaterThan(waits[0] as number);
});

test('another process goes on with what the one before left; what came whole is not fetched again', async () => {
  await expect(get([droppedAfter(100 * kib), ...Array(4).fill(status(502))])).rejects.toMatchObject({
    code: 'download.failed',
    params: { bytes: 100 * kib, reason: 'HTTP status 502' },
  });
  await get([], { sha256 });
  expect(arrived()).toBe(true);
  expect(server.requests.at(-1)).toBe(`/pack bytes=${100 * kib}-`);
  await get([], { sha256 });
  expect(server.requests.at(-1)).toBe(`/pack bytes=${400 * kib}-`);
  expect(arrived()).toBe(true);
});

test.each<[string, Answer]>([
  ['a server that knows no ranges', whole],
  [
    'a server that begins elsewhere',
    (_, response, file) => {
      const headers = { etag: file.etag, 'content-range': `bytes 7-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(206, headers).end(file.bytes.subarray(7));
    },
  ],
  [
    'a server that sends a piece of a file it calls another',
    (request, response, file) => honest(request, response, { ...file, etag: '"2"' }),
  ],
  ['a server that does not have so much any more', (_, response) => void response.writeHead(416, { 'content-range': 'bytes */5' }).end()],
  ['a server that says 206 and not of what', (_, response, file) => void response.writeHead(206).end(file.bytes)],
])('%s: from the beginning', async (_, second) => {
  await get([droppedAfter(100 * kib), second], { sha256 });
  expect(arrived()).toBe(true);
});

test('a file that changed meanwhile is fetched anew, not joined', async () => {
  const old = randomBytes(300 * kib);
  const url = server.serve('/pack', old, '"old"');
  await expect(get([droppedAfter(100 * kib), ...Array(4).fill(status(500))], { address: url })).rejects.toMatchObject({
    code: 'download.failed',
  });
  await get([]);
  expect(arrived()).toBe(true);
});

test('without anything to know the file by, and after a weak ETag, it starts over', async () => {
  const weak: Answer = (_, response, file) =>
    void response.writeHead(200, { etag: 'W/"1"', 'content-length': bytes.length }).end(file.bytes);
  await get([droppedAfter(100 * kib, nameless), droppedAfter(50 * kib, weak)], { sha256 });
  expect(arrived()).toBe(true);
  expect(server.requests).toEqual(['/pack', '/pack', '/pack']);
});

test('a date of the file serves as well as an ETag', async () => {
  const date = 'Sat, 21 Nov 2026 07:00:00 GMT';
  const dated: Answer = (_, response, file) =>
    void response.writeHead(200, { 'last-modified': date, 'content-length': bytes.length }).end(file.bytes);
  await get(
    [
      droppedAfter(100 * kib, dated),
      (request, response, file) => {
        expect(request.headers['if-range']).toBe(date);
        honest(request, response, { ...file, etag: date });
      },
    ],
    { sha256 },
  );
  expect(arrived()).toBe(true);
});

test('wrong bytes are thrown away; when they were joined from pieces, it is tried once more as a whole', async () => {
  await expect(get([], { sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'download.hash_mismatch', params: { found: sha256 } });
  expect(existsSync(path)).toBe(false);
  expect(server.requests).toHaveLength(1);
  // The first piece is another file's, under the same ETag.
  const lie: Answer = (_, response, file) =>
    void response.writeHead(200, { etag: file.etag, 'content-length': bytes.length }).end(randomBytes(bytes.length));
  await get([droppedAfter(100 * kib, lie)], { sha256 });
  expect(arrived()).toBe(true);
  expect(server.requests.slice(1)).toEqual(['/pack', `/pack bytes=${100 * kib}-`, '/pack']);
});

test('silence is a break like any other', async () => {
  await get([silentAfter(100 * kib)], { sha256 }, 300);
  expect(arrived()).toBe(true);
  await expect(get(Array(4).fill(silentAfter(0)), { address: server.serve('/other', bytes) }, 100)).rejects.toMatchObject({
    code: 'download.failed',
    params: { reason: 'silence' },
  });
});

test('a server that sends a few bytes and hangs up does not keep us for ever', async () => {
  await expect(get(Array(100).fill(droppedAfter(1000)))).rejects.toMatchObject({ code: 'download.failed' });
  expect(server.requests).toHaveLength(4);
});

test('more than it may be is refused: at once when the server says so, else when it comes', async () => {
  await expect(get([], { maxBytes: 100 * kib })).rejects.toMatchObject({ code: 'download.too_large', params: { maxBytes: 100 * kib } });
  expect(shown).toEqual([]);
  const endless: Answer = (_, response) => {
    const more = (): void => void response.write(Buffer.alloc(64 * kib), (error) => error ?? more());
    response.writeHead(200);
    more();
  };
  await expect(get([endless], { maxBytes: 1024 * kib })).rejects.toMatchObject({ code: 'download.too_large' });
  expect(existsSync(path)).toBe(false);
});

test('what the server refuses is not asked for again', async () => {
  const address = `${server.serve('/pack', bytes).replace('/pack', '/none')}?signature=secret`;
  await expect(get([], { address })).rejects.toMatchObject({ code: 'download.refused', params: { reason: 404 } });
  await expect(get([], { address })).rejects.not.toThrow('secret');
  expect(server.requests).toHaveLength(2);
  for (const bad of ['ftp://host/x', 'http://', 'file:///etc/passwd'])
    await expect(get([], { address: bad })).rejects.toMatchObject({ code: 'source.invalid', params: { reason: 'address' } });
  await expect(get([], { address: 'http://me:word@127.0.0.1/x' })).rejects.toMatchObject({ params: { reason: 'credentials_in_address' } });
  await expect(get([], { address: 'http://127.0.0.1:1/x' })).rejects.toMatchObject({ code: 'download.failed', params: { bytes: 0 } });
});

test('an answer packed on the way is taken unpacked, and never continued', async () => {
  const packed: Answer = (_, response, file) => {
    const body = gzipSync(file.bytes);
    response.writeHead(200, { etag: file.etag, 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
  };
  await get([droppedAfter(100 * kib, packed), packed], { sha256 });
  expect(arrived()).toBe(true);
  expect(server.requests).toEqual(['/pack', '/pack']);
});

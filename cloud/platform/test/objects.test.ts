import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { type DiskObjects, openDiskObjects } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { objectsContract } from './objects.contract';
import { problemOf } from './problem-of';

@Module({})
class Empty {}

interface Served {
  readonly objects: DiskObjects;
  readonly folder: string;
  readonly app: HttpApp;
  now: number;
  close(): Promise<void>;
}

/** The storage behind the real HTTP application; its address is known only once it listens. */
async function served(keyOf?: (tenantId: string) => Promise<Buffer>): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'star-objects-'));
  const state = { now: Date.now() };
  const open = (publicUrl: string) =>
    openDiskObjects({
      folder,
      secret: 'a secret of at least 32 characters',
      publicUrl,
      maxBytes: 5_000_000,
      nowMs: () => state.now,
      ...(keyOf && { sealing: { keyOf } }),
    });
  const app = await createHttpApp(Empty, {
    verifier: { verify: () => Promise.reject(new Error('unused')) },
    objects: await open('http://unused'),
  });
  const objects = await open(await app.listen());
  const close = async () => {
    await app.close();
    await rm(folder, { recursive: true });
  };
  return Object.assign(state, { objects, folder, app, close });
}

const tenantKey = randomBytes(32);
objectsContract('a folder', () => served());
objectsContract('a folder of sealed files', () => served(async () => tenantKey));

describe('signed addresses on disk', () => {
  const tenant = randomUUID();
  const key = `${tenant}/crops/e/s.jpg`;
  let at: Served;
  beforeAll(async () => {
    at = await served(async () => tenantKey);
  });
  afterAll(() => at.close());

  const put = (url: string, body: string, contentType = 'image/jpeg') =>
    fetch(url, { method: 'PUT', body, headers: { 'content-type': contentType } });

  test('an expired address says so', async () => {
    const url = await at.objects.signedUrl(tenant, key, 'GET', { expiresInS: 10 });
    at.now += 11_000;
    expect(await problemOf(await fetch(url))).toMatchObject({ status: 403, code: 'object.expired' });
  });

  test('no part of an address can be changed', async () => {
    const url = await at.objects.signedUrl(tenant, key, 'PUT', { expiresInS: 60, maxBytes: 10, contentType: 'image/jpeg' });
    const changed = [/expires=\d+/, /max=\d+/, /type=[^&]+/, /signature=./].map((part) =>
      url.replace(part, (text) => (text.endsWith('9') ? `${text}8` : `${text}9`)),
    );
    changed.push(url.replace(/&max=\d+/, ''), url.replace(/&type=[^&]+/, ''), url.replace('verb=PUT', 'verb=GET'));
    for (const address of changed)
      expect(await problemOf(await put(address, 'x'))).toMatchObject({ status: 403, code: 'object.signature_invalid' });
  });

  test('too much and the wrong type are refused, and nothing is kept', async () => {
    const url = await at.objects.signedUrl(tenant, key, 'PUT', { expiresInS: 60, maxBytes: 10, contentType: 'image/jpeg' });
    expect(await problemOf(await put(url, 'x'.repeat(11)))).toMatchObject({
      status: 413,
      code: 'object.too_large',
      params: { maxBytes: 10 },
    });
    const chunked = fetch(url, {
      method: 'PUT',
      body: new Blob(['x'.repeat(1_000_000)]).stream(),
      duplex: 'half',
      headers: { 'content-type': 'image/jpeg' },
    } as RequestInit);
    expect(await problemOf(await chunked)).toMatchObject({ status: 413, code: 'object.too_large' });
    expect(await problemOf(await put(url, 'x', 'text/html'))).toMatchObject({ status: 400, code: 'object.content_type_invalid' });
    expect(await at.objects.head(tenant, key)).toBeUndefined();
    expect(await readdir(join(at.folder, 'incoming'))).toEqual([]);
  });

  test('an upload that breaks off leaves nothing', async () => {
    const url = await at.objects.signedUrl(tenant, key, 'PUT', { expiresInS: 60 });
    await new Promise<void>((done) => {
      const upload = request(url, { method: 'PUT', headers: { 'content-length': '1000', 'content-type': 'image/jpeg' } });
      upload.on('error', () => done());
      upload.write('half', () => setTimeout(() => upload.destroy(new Error('cut')), 50));
    });
    for (let tries = 0; (await readdir(join(at.folder, 'incoming'))).length > 0 && tries < 100; tries++)
      await new Promise((next) => setTimeout(next, 20));
    expect(await readdir(join(at.folder, 'incoming'))).toEqual([]);
    expect(await at.objects.head(tenant, key)).toBeUndefined();
  });
});

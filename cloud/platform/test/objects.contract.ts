import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Objects } from '@star/platform';

/** What every object storage promises. `open` gives a fresh one whose signed addresses can be fetched. */
export function objectsContract(name: string, open: () => Promise<{ objects: Objects; close(): Promise<void> }>): void {
  describe(`${name} as object storage`, () => {
    const tenant = randomUUID();
    const other = randomUUID();
    const keyOf = (rest: string) => `${tenant}/${rest}`;
    let objects: Objects;
    let close: () => Promise<void>;

    beforeAll(async () => {
      ({ objects, close } = await open());
    });
    afterAll(() => close());

    const read = async (key: string) => {
      const found = await objects.get(tenant, key);
      return found && { ...found.info, body: await buffer(found.body) };
    };

    test('what was put is got, with its type and size', async () => {
      const body = randomBytes(300_000);
      await objects.put(tenant, keyOf('crops/e1/s1.jpg'), body, 'image/jpeg');
      expect(await read(keyOf('crops/e1/s1.jpg'))).toEqual({
        key: keyOf('crops/e1/s1.jpg'),
        sizeBytes: 300_000,
        contentType: 'image/jpeg',
        body,
      });
      expect(await objects.head(tenant, keyOf('crops/e1/s1.jpg'))).toEqual({
        key: keyOf('crops/e1/s1.jpg'),
        sizeBytes: 300_000,
        contentType: 'image/jpeg',
      });
    });

    test('a stream and an empty body are stored whole', async () => {
      await objects.put(tenant, keyOf('stream'), Readable.from([Buffer.from('one '), Buffer.from('two')]), 'text/plain');
      expect((await read(keyOf('stream')))?.body.toString()).toBe('one two');
      await objects.put(tenant, keyOf('empty'), Buffer.alloc(0), 'text/plain');
      expect(await read(keyOf('empty'))).toEqual({ key: keyOf('empty'), sizeBytes: 0, contentType: 'text/plain', body: Buffer.alloc(0) });
    });

    test('a put that breaks off leaves what was there', async () => {
      await objects.put(tenant, keyOf('kept'), Buffer.from('first'), 'text/plain');
      const broken = Readable.from(
        (async function* () {
          yield Buffer.from('sec');
          throw new Error('the sender went away');
        })(),
      );
      await expect(objects.put(tenant, keyOf('kept'), broken, 'text/plain')).rejects.toThrow('the sender went away');
      expect((await read(keyOf('kept')))?.body.toString()).toBe('first');
    });

    test('a range of bytes is got alone, shorter at the end, empty past it', async () => {
      await objects.put(tenant, keyOf('ranged'), Buffer.from('0123456789'), 'text/plain');
      const range = async (start: number, bytes: number) => (await objects.getRange(tenant, keyOf('ranged'), start, bytes))?.toString();
      expect([await range(0, 3), await range(3, 4), await range(8, 100), await range(0, 10), await range(2, 0)]).toEqual([
        '012',
        '3456',
        '89',
        '0123456789',
        '',
      ]);
      expect([await range(10, 5), await range(1000, 5)]).toEqual(['', '']);
      expect(await objects.getRange(tenant, keyOf('never'), 0, 5)).toBeUndefined();
    });

    test('an object may be named like the folder of another', async () => {
      await objects.put(tenant, keyOf('a'), Buffer.from('1'), 'text/plain');
      await objects.put(tenant, keyOf('a/b'), Buffer.from('2'), 'text/plain');
      expect([(await read(keyOf('a')))?.body.toString(), (await read(keyOf('a/b')))?.body.toString()]).toEqual(['1', '2']);
    });

    test('what is not there is undefined, and deleting it is no error', async () => {
      await objects.put(tenant, keyOf('gone'), Buffer.from('x'), 'text/plain');
      await objects.delete(tenant, keyOf('gone'));
      await objects.delete(tenant, keyOf('gone'));
      await objects.delete(tenant, keyOf('never/was'));
      expect(await objects.get(tenant, keyOf('gone'))).toBeUndefined();
      expect(await objects.head(tenant, keyOf('gone/below'))).toBeUndefined();
    });

    test('all of a tenant is deleted at once, and nothing of another', async () => {
      const [mine, theirs] = [randomUUID(), randomUUID()];
      for (const [owner, key] of [
        [mine, 'crops/x'],
        [mine, 'people/a/b'],
        [mine, 'crops'],
        [theirs, 'crops/x'],
      ] as const)
        await objects.put(owner, `${owner}/${key}`, Buffer.from('x'), 'text/plain');
      expect(await objects.deleteAll(mine)).toBe(3);
      expect(await objects.deleteAll(mine)).toBe(0);
      expect(await objects.head(mine, `${mine}/crops/x`)).toBeUndefined();
      expect(await objects.head(theirs, `${theirs}/crops/x`)).toBeDefined();
      for (const nobody of ['', '..', 'x', `${mine}/..`])
        await expect(objects.deleteAll(nobody)).rejects.toMatchObject({ code: 'object.key_invalid' });
    });

    test.each([
      ['another tenant', `${other}/crops/x`],
      ['no tenant', 'crops/x'],
      ['only the tenant', `${tenant}`],
      ['an empty part', `${tenant}//x`],
      ['a step up', `${tenant}/../${other}/x`],
      ['a hidden name', `${tenant}/.ssh`],
      ['a slash at the end', `${tenant}/x/`],
      ['a zero byte', `${tenant}/x\0`],
      ['an escape', `${tenant}/%2e%2e/x`],
      ['a backslash', `${tenant}/a\\b`],
      ['too long', `${tenant}/${'x/'.repeat(300)}x`],
    ])('a key with %s is refused everywhere', async (_, key) => {
      const refused = { code: 'object.key_invalid' };
      await expect(objects.put(tenant, key, Buffer.from('x'), 'text/plain')).rejects.toMatchObject(refused);
      await expect(objects.get(tenant, key)).rejects.toMatchObject(refused);
      await expect(objects.head(tenant, key)).rejects.toMatchObject(refused);
      await expect(objects.getRange(tenant, key, 0, 1)).rejects.toMatchObject(refused);
      await expect(objects.delete(tenant, key)).rejects.toMatchObject(refused);
      await expect(objects.signedUrl(tenant, key, 'GET', { expiresInS: 60 })).rejects.toMatchObject(refused);
    });

    test('a signed PUT uploads, twice if it must; a signed GET downloads', async () => {
      const body = randomBytes(2_000_000);
      const put = await objects.signedUrl(tenant, keyOf('crops/up.jpg'), 'PUT', {
        expiresInS: 60,
        maxBytes: 3_000_000,
        contentType: 'image/jpeg',
      });
      for (let time = 0; time < 2; time++) {
        const answer = await fetch(put, { method: 'PUT', body, headers: { 'content-type': 'image/jpeg' } });
        expect(answer.ok).toBe(true);
      }
      const answer = await fetch(await objects.signedUrl(tenant, keyOf('crops/up.jpg'), 'GET', { expiresInS: 60 }));
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
      expect(sha256(Buffer.from(await answer.arrayBuffer()))).toBe(sha256(body));
    });

    test('a range is served alone', async () => {
      await objects.put(tenant, keyOf('range'), Buffer.from('0123456789'), 'text/plain');
      const url = await objects.signedUrl(tenant, keyOf('range'), 'GET', { expiresInS: 60 });
      const ask = async (range: string) => {
        const answer = await fetch(url, { headers: { range } });
        return [answer.status, answer.headers.get('content-range'), answer.status === 416 ? '' : await answer.text()];
      };
      expect(await ask('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234']);
      expect(await ask('bytes=7-')).toEqual([206, 'bytes 7-9/10', '789']);
      expect(await ask('bytes=-3')).toEqual([206, 'bytes 7-9/10', '789']);
      expect(await ask('bytes=5-500')).toEqual([206, 'bytes 5-9/10', '56789']);
      expect(await ask('bytes=10-')).toEqual([416, 'bytes */10', '']);
    });

    test('an address that was changed, or is used for another verb, is 403; an unknown object 404', async () => {
      await objects.put(tenant, keyOf('signed'), Buffer.from('secret'), 'text/plain');
      await objects.put(tenant, keyOf('signet'), Buffer.from('secret'), 'text/plain');
      const url = await objects.signedUrl(tenant, keyOf('signed'), 'GET', { expiresInS: 60 });
      const status = async (address: string, init?: RequestInit) => (await fetch(address, init)).status;
      expect(await status(url)).toBe(200);
      expect(await status(url.replace('/signed', '/signet'))).toBe(403);
      expect(await status(url.replace(tenant, other))).toBe(403);
      expect(await status(url, { method: 'PUT', body: 'mine now' })).toBe(403);
      expect(await status(url.split('?')[0]!)).toBe(403);
      expect(await status(await objects.signedUrl(tenant, keyOf('nothing'), 'GET', { expiresInS: 60 }))).toBe(404);
    });
  });
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/**
 * What sealing costs: a photo of 200 kB into the folder of objects and out of it, beside the same unsealed, and 10,000
 * embeddings of 512 bytes. Prints processor time, which other work on the machine changes least. `node cloud/platform/bench/seal.ts`, after a build.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type DiskObjects, openDiskObjects, SecretBox } from '@star/platform';

const photos = 300;
const turns = 5;
const embeddings = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
const key = randomBytes(32);
const tenantId = randomUUID();
const options = { secret: 'a secret of at least 32 characters', publicUrl: 'http://star.test' };
const sealed = await openDiskObjects({ ...options, folder: join(folder, 'sealed'), sealing: { keyOf: async () => key } });
const plain = await openDiskObjects({ ...options, folder: join(folder, 'plain') });
const photo = randomBytes(200_000);

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
async function each(count: number, work: (n: number) => unknown): Promise<number> {
  const startedAt = cpuMs();
  for (let n = 0; n < count; n++) await work(n);
  return (cpuMs() - startedAt) / count;
}
const keyOf = (n: number) => `${tenantId}/people/p/${n}`;
const put = (objects: DiskObjects) => each(photos, (n) => objects.put(tenantId, keyOf(n), photo, 'image/jpeg'));
const get = (objects: DiskObjects) =>
  each(photos, async (n) => {
    const found = await objects.get(tenantId, keyOf(n));
    if (found) await buffer(found.body);
  });

const ms: Record<string, number[]> = { putSealed: [], putPlain: [], getSealed: [], getPlain: [] };
for (let turn = 0; turn < turns; turn++) {
  ms.putSealed?.push(await put(sealed));
  ms.putPlain?.push(await put(plain));
  ms.getSealed?.push(await get(sealed));
  ms.getPlain?.push(await get(plain));
}
const [putSealed, putPlain, getSealed, getPlain] = Object.values(ms).map(median) as [number, number, number, number];
console.log(
  `photo of 200 kB, put durably   ${putSealed.toFixed(2)} ms sealed, ${putPlain.toFixed(2)} ms not: ${(putSealed / putPlain).toFixed(2)}`,
);
console.log(
  `the same, read whole           ${getSealed.toFixed(2)} ms sealed, ${getPlain.toFixed(2)} ms not: ${(getSealed / getPlain).toFixed(2)}`,
);

const box = new SecretBox(key);
const vector = randomBytes(512);
const owner = `${tenantId} ${randomUUID()} ${randomUUID()} pack.1`;
const kept: Buffer[] = [];
const sealMs: number[] = [];
const openMs: number[] = [];
for (let turn = 0; turn < turns; turn++) {
  kept.length = 0;
  let startedAt = cpuMs();
  for (let n = 0; n < embeddings; n++) kept.push(box.sealBytes(vector, `${owner} ${n}`));
  sealMs.push(cpuMs() - startedAt);
  startedAt = cpuMs();
  for (const [n, each] of kept.entries()) box.openBytes(each, `${owner} ${n}`);
  openMs.push(cpuMs() - startedAt);
}
console.log(`10,000 embeddings of 512 bytes ${median(sealMs).toFixed(0)} ms to seal, ${median(openMs).toFixed(0)} ms to open`);
rmSync(folder, { recursive: true, force: true });

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { fileKey, plainBytes, Sealer, unseal } from './sealed-file';

const key = fileKey(randomBytes(32), randomBytes(16), 'tenant/crops/a.jpg');
const block = 64 * 1024;

function sealed(plain: Buffer, pieces: readonly number[] = []): Buffer {
  const sealer = new Sealer(key);
  const out: Buffer[] = [];
  let from = 0;
  for (const piece of pieces) {
    out.push(...sealer.add(plain.subarray(from, from + piece)));
    from += piece;
  }
  out.push(...sealer.add(plain.subarray(from)), sealer.end());
  return Buffer.concat(out);
}

async function opened(file: Buffer, start = 0, end = plainBytes(file.length) - 1, with_ = key): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of unseal(with_, file.length, async (at, bytes) => file.subarray(at, at + bytes), start, end)) parts.push(part);
  return Buffer.concat(parts);
}

const around = fc.constantFrom(0, 1, block - 1, block, block + 1, 2 * block - 1, 2 * block, 2 * block + 1, 3 * block);
const size = fc.oneof(around, fc.integer({ min: 0, max: 4 * block }));

it('gives back what was sealed, in whatever pieces it came, and any range of it', async () => {
  await fc.assert(
    fc.asyncProperty(size, fc.array(fc.integer({ min: 0, max: block }), { maxLength: 6 }), size, size, async (bytes, pieces, a, b) => {
      const plain = randomBytes(bytes);
      const file = sealed(plain, pieces);
      expect(plainBytes(file.length)).toBe(bytes);
      expect((await opened(file)).equals(plain)).toBe(true);
      const [start, end] = [Math.min(a, b, bytes), Math.min(Math.max(a, b), bytes - 1)];
      if (end >= start) expect((await opened(file, start, end)).equals(plain.subarray(start, end + 1))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

it('does not open what was changed, moved, cut off, lengthened, or belongs to another', async () => {
  const plain = randomBytes(3 * block + 100);
  const file = sealed(plain);
  const whole = block + 16;
  const flipped = Buffer.from(file);
  flipped[whole + 5] = (flipped[whole + 5] as number) ^ 1;
  const swapped = Buffer.concat([file.subarray(whole, 2 * whole), file.subarray(0, whole), file.subarray(2 * whole)]);
  const bad = [
    flipped,
    swapped,
    file.subarray(0, 2 * whole),
    file.subarray(0, file.length - 1),
    Buffer.concat([file, file.subarray(0, whole)]),
  ];
  for (const each of bad) await expect(opened(each)).rejects.toThrow();
  await expect(opened(file, 0, 10, fileKey(randomBytes(32), randomBytes(16), 'x'))).rejects.toThrow();
});

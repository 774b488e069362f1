import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { z } from 'zod';

const privateJwk = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string(),
  kid: z.string(),
});

/** An ES256 key with its private part; `kid` is its RFC 7638 thumbprint. */
export type SigningKey = z.infer<typeof privateJwk>;

/** Reads the key from `path`, making it (0600) the first time; processes that start at once end up with the same one. */
export async function loadSigningKey(path: string): Promise<SigningKey> {
  const stored = await readFile(path, 'utf8').catch(() => undefined);
  if (stored !== undefined) return privateJwk.parse(JSON.parse(stored));
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk: JWK = await exportJWK(privateKey);
  const aside = `${path}.${randomUUID()}`;
  await writeFile(aside, JSON.stringify({ ...jwk, kid: await calculateJwkThumbprint(jwk) }), { mode: 0o600, flush: true });
  try {
    // A link fails where a rename would replace the key another process has begun to sign with.
    await link(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
  return privateJwk.parse(JSON.parse(await readFile(path, 'utf8')));
}

export const publicPart = ({ d: _private, ...rest }: SigningKey) => ({ ...rest, alg: 'ES256', use: 'sig' });

import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, sign, verify } from 'node:crypto';
import type { PublicKey, SigningKey } from '@star/platform';

/** Of nothing: before a tenant's first line. */
export const noHash = Buffer.alloc(32);

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The hash of one link: it fixes the line, its place, its tenant and everything before. */
export const linkHash = (before: Buffer, tenantId: string, seq: number, lineSha256: Buffer): Buffer =>
  createHash('sha256').update(before).update(`${tenantId} ${seq} `).update(lineSha256).digest();

const sealed = (tenantId: string, seq: number, hash: Buffer) => Buffer.from(`star audit ${tenantId} ${seq} ${hash.toString('hex')}`);
const encoding = 'ieee-p1363' as const;

/** Signs ends of chains. ES256. */
export interface Sealer {
  seal(tenantId: string, seq: number, hash: Buffer): Buffer;
}

/** Tells whether Star sealed this end of a chain. */
export interface SealChecker {
  isSealed(tenantId: string, seq: number, hash: Buffer, signature: Buffer): boolean;
}

export type Seal = Sealer & SealChecker & { readonly keyId: string };

export function createSeal(key: SigningKey): Seal {
  const privateKey = createPrivateKey({ key: key as unknown as JsonWebKey, format: 'jwk' });
  return {
    keyId: key.kid,
    seal: (tenantId, seq, hash) => sign('sha256', sealed(tenantId, seq, hash), { key: privateKey, dsaEncoding: encoding }),
    ...createSealChecker(key),
  };
}

/** With the public part alone, as an auditor has it. */
export function createSealChecker({ kty, crv, x, y }: PublicKey): SealChecker {
  const publicKey = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' });
  return {
    isSealed: (tenantId, seq, hash, signature) =>
      signature.length === 64 && verify('sha256', sealed(tenantId, seq, hash), { key: publicKey, dsaEncoding: encoding }, signature),
  };
}

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

/** Up to which place retention removed the lines of a chain. */
export interface AuditCut {
  readonly tenantId: string;
  readonly seq: number;
  /** Of the link at `seq`. */
  readonly hash: Buffer;
  readonly cutAt: Date;
  /** All lines up to `seq` were older. */
  readonly before: Date;
  readonly settingsVersion: number;
}

// Another beginning than that of an end: the one must never pass for the other.
const cutText = ({ tenantId, seq, hash, cutAt, before, settingsVersion }: AuditCut) =>
  Buffer.from(
    `star audit cut ${tenantId} ${seq} ${hash.toString('hex')} ${cutAt.toISOString()} ${before.toISOString()} ${settingsVersion}`,
  );

/** Signs ends of chains, and cuts. ES256. */
export interface Sealer {
  seal(tenantId: string, seq: number, hash: Buffer): Buffer;
  sealCut(cut: AuditCut): Buffer;
}

/** Tells whether Star sealed this end of a chain, or this cut. */
export interface SealChecker {
  isSealed(tenantId: string, seq: number, hash: Buffer, signature: Buffer): boolean;
  isCutSealed(cut: AuditCut, signature: Buffer): boolean;
}

export type Seal = Sealer & SealChecker & { readonly keyId: string };

export function createSeal(key: SigningKey): Seal {
  const privateKey = createPrivateKey({ key: key as unknown as JsonWebKey, format: 'jwk' });
  const signed = (text: Buffer) => sign('sha256', text, { key: privateKey, dsaEncoding: encoding });
  return {
    keyId: key.kid,
    seal: (tenantId, seq, hash) => signed(sealed(tenantId, seq, hash)),
    sealCut: (cut) => signed(cutText(cut)),
    ...createSealChecker(key),
  };
}

/** With the public part alone, as an auditor has it. */
export function createSealChecker({ kty, crv, x, y }: PublicKey): SealChecker {
  const publicKey = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' });
  const isSigned = (text: Buffer, signature: Buffer) =>
    signature.length === 64 && verify('sha256', text, { key: publicKey, dsaEncoding: encoding }, signature);
  return {
    isSealed: (tenantId, seq, hash, signature) => isSigned(sealed(tenantId, seq, hash), signature),
    isCutSealed: (cut, signature) => isSigned(cutText(cut), signature),
  };
}

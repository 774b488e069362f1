import { CompactSign, compactVerify, importJWK } from 'jose';
import type { SigningKey } from './signing-key';

/** What checks a signature: the key without its private part. */
export type PublicKey = Pick<SigningKey, 'kty' | 'crv' | 'x' | 'y'>;

/** JSON as a JWS in compact form, ES256; `type` keeps a document of one kind from being shown as another. */
export async function signDocument(document: unknown, type: string, key: SigningKey): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(document)))
    .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: type })
    .sign(await importJWK(key, 'ES256'));
}

/** The JSON that was signed. Throws when it was not, with another key, or as another type. */
export async function openDocument(jws: string, type: string, { kty, crv, x, y }: PublicKey): Promise<unknown> {
  const { payload, protectedHeader } = await compactVerify(jws.trim(), await importJWK({ kty, crv, x, y }, 'ES256'), {
    algorithms: ['ES256'],
  });
  if (protectedHeader.typ !== type) throw new Error(`signed as ${protectedHeader.typ}, not as ${type}`);
  return JSON.parse(Buffer.from(payload).toString());
}

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const version = 1;
const ivBytes = 12;
const tagBytes = 16;

/**
 * Small things at rest (passwords, keys, embeddings): AES-256-GCM, a fresh nonce each time, bound to the id of the row
 * they belong to, so that one cannot be moved to another row. Random nonces of 96 bits bear 2^32 of them under one key.
 * Layout: version 1, nonce 12, tag 16, content.
 */
export class SecretBox {
  constructor(private readonly key: Buffer) {
    if (key.length !== 32) throw new RangeError('the key of the secret box must have 32 bytes');
  }

  seal(text: string, boundTo: string): Buffer {
    return this.sealBytes(Buffer.from(text, 'utf8'), boundTo);
  }

  sealBytes(content: Buffer, boundTo: string): Buffer {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', this.key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(boundTo));
    const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
    return Buffer.concat([Buffer.of(version), iv, cipher.getAuthTag(), sealed]);
  }

  /** Throws when the key is another, the content was changed, or it belongs to something else. */
  open(sealed: Buffer, boundTo: string): string {
    return this.openBytes(sealed, boundTo).toString('utf8');
  }

  openBytes(sealed: Buffer, boundTo: string): Buffer {
    if (sealed[0] !== version || sealed.length < 1 + ivBytes + tagBytes) throw new Error('not a sealed secret');
    const decipher = createDecipheriv('aes-256-gcm', this.key, sealed.subarray(1, 1 + ivBytes), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(boundTo)).setAuthTag(sealed.subarray(1 + ivBytes, 1 + ivBytes + tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(1 + ivBytes + tagBytes)), decipher.final()]);
  }
}

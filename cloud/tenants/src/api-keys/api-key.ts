import { createHash, randomBytes } from 'node:crypto';
import { apiKeyPrefix } from '@star/platform';

const keyBytes = 32;
const shape = new RegExp(`^${apiKeyPrefix}[\\w-]{43}$`);

/** 256 random bits in 47 characters that need no quoting anywhere. */
export const makeKey = (): string => apiKeyPrefix + randomBytes(keyBytes).toString('base64url');

/** Whether a text can be a key at all; what cannot is not looked up. */
export const isKey = (text: string): boolean => shape.test(text);

export const hashKey = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Enough to tell one's own keys apart: 36 of 256 bits. */
export const prefixOf = (key: string): string => key.slice(0, apiKeyPrefix.length + 6);

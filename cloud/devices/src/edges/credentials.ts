import { createHash, randomBytes, randomInt, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** How a device logs in. X.509 needs the TLS listener, which is not here. */
export type Credentials =
  | { readonly kind: 'ACCESS_TOKEN'; readonly token: string }
  | {
      readonly kind: 'MQTT_BASIC';
      readonly clientId: string | undefined;
      readonly userName: string | undefined;
      readonly password: string | undefined;
    };

const sha256 = (text: string) => createHash('sha256').update(text).digest();

/** Under which hash credentials are found. A basic login with a user name only shares its space with the tokens, as in ThingsBoard. */
export const lookupHashes = {
  name: (tokenOrUserName: string) => sha256(`name\0${tokenOrUserName}`),
  client: (clientId: string) => sha256(`client\0${clientId}`),
  clientAndName: (clientId: string, userName: string) => sha256(`both\0${clientId}\0${userName}`),
};

export function lookupHashOf(credentials: Credentials): Buffer {
  if (credentials.kind === 'ACCESS_TOKEN') return lookupHashes.name(credentials.token);
  const { clientId, userName } = credentials;
  if (!clientId) return lookupHashes.name(userName ?? '');
  return userName ? lookupHashes.clientAndName(clientId, userName) : lookupHashes.client(clientId);
}

export const hashSecret = (secret: string): Buffer => sha256(secret);
export const sameSecret = (secret: string, hash: Buffer): boolean => timingSafeEqual(sha256(secret), hash);

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(scrypt);
const saltBytes = 16;
/** About 10 ms: a fleet that reconnects at once must get through. */
const cost = { N: 4096, r: 8, p: 1 };

export async function hashPassword(password: string): Promise<Buffer> {
  const salt = randomBytes(saltBytes);
  return Buffer.concat([salt, await derive(password, salt, 32, cost)]);
}

export async function samePassword(password: string, hash: Buffer): Promise<boolean> {
  return timingSafeEqual(await derive(password, hash.subarray(0, saltBytes), 32, cost), hash.subarray(saltBytes));
}

const alphanumerics = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Letters and digits; 20 of them are 119 bits. */
export const randomText = (length: number): string => Array.from({ length }, () => alphanumerics[randomInt(alphanumerics.length)]).join('');

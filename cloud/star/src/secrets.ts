import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** 32 random bytes that stay the same for this folder (0600), also after a power cut. */
export async function lastingSecret(data: string, name: string): Promise<Buffer> {
  const folder = join(data, 'keys');
  const path = join(folder, name);
  try {
    return Buffer.from(await readFile(path, 'utf8'), 'base64url');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secret = randomBytes(32);
  await writeFile(`${path}.new`, secret.toString('base64url'), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  // What is sealed with it is on disk a moment later: the file's name must not be lost after that.
  const listed = await open(folder);
  await listed.sync().finally(() => listed.close());
  return secret;
}

/** Made by the supervisor before any application process reads them, so that all of them get the same. */
export async function makeSecrets(data: string): Promise<void> {
  if (existsSync(`${tenantsKeyPath(data)}.next`)) throw new Error('`star keys rewrap` was cut off: run it again before Star is started');
  for (const name of secretNames) await lastingSecret(data, name);
}

const secretNames = ['objects', 'credentials', 'identity', 'bridge', 'tenants'] as const;
/** Seals the keys of the tenants. */
export const tenantsKeyPath = (data: string): string => join(data, 'keys', 'tenants');
/** Signs the ends of audit chains; not the tokens' key, which may be changed. */
export const auditKeyPath = (data: string): string => join(data, 'keys', 'audit.json');
/** The signed heads of the audit log, day by day. */
export const auditHeadsFolder = (data: string): string => join(data, 'audit-heads');
/** Signs what the bridge tells Keycloak; nothing of Star believes it. */
export const bridgeKeyPath = (data: string): string => join(data, 'keys', 'bridge.json');
export const signingKeyPath = (data: string): string => join(data, 'keys', 'signing.json');

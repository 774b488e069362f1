import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder, replaceDurably, syncFolder } from '@dipper/platform';
import { z } from 'zod';

const credentialsSchema = z.object({
  /** asked: the token was chosen here and sent, but Star's answer has not been seen. */
  state: z.enum(['asked', 'provisioned']),
  token: z.string().min(1).max(1024),
  deviceName: z.string(),
});
export type Credentials = z.infer<typeof credentialsSchema>;

export const credentialsPath = (dataDir: string) => join(dataDir, 'dubhe', 'credentials.json');

/**
 * Undefined when this box has never asked. A file that cannot be read stops the agent: asking anew would make a second
 * box. What is returned is on disk to stay, also when it was being put there while the agent was killed.
 */
export function readCredentials(path: string): Credentials | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  syncFolder(dirname(path));
  return credentialsSchema.parse(JSON.parse(text));
}

/** On disk, complete and only for this user, when it returns; a power cut leaves the old file or the new one. */
export function writeCredentials(path: string, credentials: Credentials): void {
  makeFolder(dirname(path), 0o700);
  replaceDurably(path, JSON.stringify(credentials));
}

/** 160 random bits, in the characters ThingsBoard's own tokens have. */
export const newToken = (): string => randomBytes(20).toString('hex');

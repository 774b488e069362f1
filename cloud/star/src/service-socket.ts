import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A socket's path may have 107 bytes; a data folder far down gets one in the temporary folder. */
export async function serviceSocket(data: string, name: string): Promise<string> {
  const near = join(data, 'run', `${name}.sock`);
  const far = join(tmpdir(), `star-${createHash('sha256').update(data).digest('hex').slice(0, 16)}`, `${name}.sock`);
  const path = Buffer.byteLength(near) <= 100 ? near : far;
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
  // Refused when somebody else made the folder first.
  await chmod(join(path, '..'), 0o700);
  return path;
}

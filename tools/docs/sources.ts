import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Source {
  readonly path: string;
  /** Its folder, such as `cloud/devices`. */
  readonly project: string;
  readonly text: string;
}

/** Source files without tests, by path. */
export function sources(root: string, pattern: string): Source[] {
  return globSync(pattern, { cwd: root })
    .filter((path) => !path.endsWith('.test.ts'))
    .sort()
    .map((path) => ({ path, project: path.split('/').slice(0, 2).join('/'), text: readFileSync(join(root, path), 'utf8') }));
}

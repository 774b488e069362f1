/** Builds the console with vite when its sources have changed. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';

const inputs = [
  'package-lock.json',
  'proto/src/rules.ts',
  'proto/src/area-rules.ts',
  ...globSync('proto/src/policy/*.ts').sort(),
  'web/index.html',
  'web/vite.config.mts',
  ...globSync('web/src/**/*.*').sort(),
];
const hash = createHash('sha256');
for (const input of inputs) hash.update(input).update(readFileSync(input));
const wanted = hash.digest('hex');
const stamp = 'web/dist/.stamp';
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  const result = spawnSync(process.execPath, ['../node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], {
    cwd: 'web',
    stdio: 'inherit',
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
  writeFileSync(stamp, wanted);
}

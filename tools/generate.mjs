/** Runs `buf generate` when a .proto or its settings have changed. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const inputs = ['proto/buf.yaml', 'proto/buf.gen.yaml', 'package-lock.json', ...globSync('proto/*/v*/*.proto').sort()];
const hash = createHash('sha256');
for (const input of inputs) hash.update(input).update(readFileSync(input));
const wanted = hash.digest('hex');
const stamp = 'proto/gen/.stamp';
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  rmSync('proto/gen', { recursive: true, force: true });
  const result = spawnSync('../node_modules/.bin/buf', ['generate'], { cwd: 'proto', stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
  writeFileSync(stamp, wanted);
}

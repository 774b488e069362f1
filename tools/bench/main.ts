/**
 * `npm run bench`: every project's `bench/`, one after the other, each printing its own figures and ratios.
 * `npm run bench -- mizar` runs those whose path contains the word.
 */

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const words = process.argv.slice(2);
const benches = globSync(['{cloud,edge}/*/bench/*.ts', 'tools/bench/*.bench.ts'])
  .sort()
  .filter((path) => words.length === 0 || words.some((word) => path.includes(word)));
if (benches.length === 0) {
  console.error(`No bench matches ${words.join(' ')}.`);
  process.exit(2);
}
let failed = 0;
for (const bench of benches) {
  console.log(`\n== ${bench}`);
  const { status } = spawnSync(process.execPath, ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', bench], { stdio: 'inherit' });
  if (status !== 0) {
    console.log(`${bench} ended with ${status}`);
    failed++;
  }
}
process.exit(failed > 0 ? 1 : 0);

/**
 * `npm run chaos -- --kills 1000 [--seed N]`: searches the demo's footage undisturbed, then again and again while random
 * processes are killed, and says whether every search came to the same. Ends non-zero when one did not.
 */

import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { packAndPeople } from '../world/pack-and-people.ts';
import { killRounds, undisturbed } from './runs.ts';

const { values: flags } = parseArgs({
  options: { kills: { type: 'string', default: '30' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
});
const kills = Number(flags.kills);
const seed = Number(flags.seed ?? Date.now() % 1_000_000);
if (flags.help || !Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
  console.log('npm run chaos [-- --kills 30] [--seed N]\n  Uses the pack and the people the demo uses; keeps its data in .star-chaos/.');
  process.exit(flags.help ? 0 : 2);
}
const options = { ...packAndPeople(process.env), folder: join(process.cwd(), '.star-chaos'), say: (line: string) => console.log(line) };
console.log(`seed ${seed}`);
const expected = await undisturbed(options);
let equal = true;
for await (const { kills: killed, done, ...found } of killRounds(options, kills, seed)) {
  equal = isDeepStrictEqual(found, expected);
  console.log(`${done} of ${kills} kills; ${equal ? 'equal' : 'DIFFERENT'}`, killed);
  if (equal) continue;
  console.log(JSON.stringify({ expected, found }, null, 1));
  break;
}
process.exit(equal ? 0 : 1);

/** What must survive: killed processes and a cut line change nothing in what a search comes to. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Findings } from '../chaos/findings.ts';
import { behindCutLine, killRounds, type RunOptions, undisturbed } from '../chaos/runs.ts';
import { packAndPeople } from '../world/pack-and-people.ts';

const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
const leastKills = 30;

let folder: string;
let options: RunOptions;
let expected: Findings;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'star-chaos-'));
  options = { ...packAndPeople(process.env), folder, say: (line) => process.stderr.write(`${line}\n`) };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an undisturbed search, to compare with', async () => {
  expected = await undisturbed(options);
  expect(expected.state).toBe('finished');
  expect(expected.matches.length).toBeGreaterThan(10);
});

test('a line cut for longer than the search loses nothing', async () => {
  expect(await behindCutLine(options)).toEqual(expected);
});

test(`${leastKills} processes killed at random moments lose nothing and double nothing`, async () => {
  process.stderr.write(`chaos seed ${seed}\n`);
  const everyKilled = new Set<string>();
  for await (const { kills, done, ...found } of killRounds(options, leastKills, seed)) {
    process.stderr.write(`${done} of ${leastKills} kills\n`);
    expect(found).toEqual(expected);
    for (const name of Object.keys(kills)) everyKilled.add(name);
  }
  // Star's supervisor and four of its processes; two boxes of a supervisor and four agents; two recorders.
  expect(everyKilled.size).toBe(17);
});

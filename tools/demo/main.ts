/**
 * `npm run demo`: two communities, nine cameras, and the question "where was this person?".
 * Stays up until Ctrl-C; `--once` ends by itself and judges; `--json` prints one JSON object last; `--fresh` starts over.
 */

import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { CreateSearch, Match, Person, Search } from '@stardipper/proto';
import { promisedFacePx } from '../footage/schedule.ts';
import { agentStats } from '../world/agent-stats.ts';
import { holdFolder } from '../world/hold-folder.ts';
import { boxNames } from '../world/identity.ts';
import { type PackAndPeople, packAndPeople } from '../world/pack-and-people.ts';
import { untilDefined } from '../world/until-defined.ts';
import { enrol, startWorld, type World } from '../world/world.ts';
import { measureAccept } from './accept.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { bar, coverageLines, createScreen, estimateLines, evaluationTable, searchBars } from './screen.ts';

const { values: flags } = parseArgs({
  options: { fresh: { type: 'boolean' }, once: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
});
if (flags.help) {
  console.log(
    'npm run demo [-- --fresh] [--once] [--json]\n  --fresh  forget everything and start over\n  --once   end after the two searches; the exit status says whether all was found\n  --json   print the figures as one JSON object last',
  );
  process.exit(0);
}
const given = givenOrExit();

interface Round {
  readonly search: Search;
  readonly evaluation: Evaluation;
  readonly seconds: number;
  /** Null when no box could say. */
  readonly estimatedSeconds: number | null;
  readonly keyframesDecoded: number;
}

const folder = process.env.STAR_DEMO_FOLDER ?? join(process.cwd(), '.star');
const screen = createScreen(flags.json ? process.stderr : process.stdout);
let world: World | undefined;
let leaving: Promise<never> | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void leave(130));

process.exitCode = 1;
run().catch(async (error: unknown) => {
  screen.endBars();
  screen.say(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  screen.say(`Logs are in ${join(folder, 'logs')}.`);
  await leave(1);
});

async function run(): Promise<void> {
  if (flags.fresh) await rm(folder, { recursive: true, force: true });
  await holdFolder(folder);
  world = await startWorld({
    folder,
    ...given,
    say: (line) => screen.say(line),
    onRender: (done, total) => {
      if (done === total) screen.endBars();
      else screen.bars([bar('footage', done / total, `${done} of ${total} minutes`)]);
    },
  });
  screen.say('Enrolling people from photos…');
  const people = await enrol(world);
  const [first, second] = world.plan.groups as [string[], string[]];
  const one = await round(world, 'First search', first, people);
  screen.say('Same hours again, other people:');
  const two = await round(world, 'Second search', second, people);
  const accept = await measureAccept(world, people.get(first[0] as string) as Person, (done, total) => {
    if (done === total) screen.endBars();
    else screen.bars([bar('accept', done / total, 'createTask calls')]);
  });
  screen.say(`createTask, from the RPC being sent to its reply: p50 ${accept.p50} ms, p99 ${accept.p99} ms over ${accept.n} calls.`);
  const failures = judge(one, two);
  for (const failure of failures) screen.say(`FAILED: ${failure}`);
  screen.say();
  screen.say(`The console: ${world.url}   log in as ${world.login.username} / ${world.login.password}`);
  screen.say('The provider, who opens tenants, is "platform" with the same password.');
  if (flags.json) console.log(JSON.stringify(figures(one, two, accept)));
  if (flags.once) return void (await leave(failures.length > 0 ? 1 : 0));
  screen.say(`Ctrl-C stops everything; the data stays in ${relative(process.cwd(), folder) || folder}/ for next time.`);
}

function givenOrExit(): PackAndPeople {
  try {
    return packAndPeople(process.env);
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
}

/** One search from estimate to verdict. */
async function round(world: World, title: string, group: readonly string[], people: Map<string, Person>): Promise<Round> {
  const decodedBefore = await keyframesDecoded(world);
  const ids = group.map((name) => (people.get(name) as Person).id);
  const range = { from: new Date(world.range.from).toISOString(), to: new Date(world.range.to).toISOString() };
  screen.say();
  screen.say(`${title}: ${group.join(', ')} on ${world.cameras.length} cameras, ${range.from} to ${range.to}`);
  const draft = await draftSearch(world, {
    name: title,
    purpose: 'demonstration',
    personIds: ids,
    cameraIds: world.cameras.map((c) => c.id),
    ...range,
  });
  if (!draft.estimate) throw new Error('Star gave no estimate');
  for (const line of estimateLines(draft.estimate)) screen.say(line);
  const startedAt = performance.now();
  await world.api.startSearch(draft.id);
  const search = await follow(world, draft.id, people);
  const seconds = (performance.now() - startedAt) / 1000;
  const decoded = (await keyframesDecoded(world)) - decodedBefore;
  const names = new Map([...people.values()].map((p) => [p.id, p.name]));
  const evaluation = evaluate(group, await world.api.matches(search.id), {
    appearances: world.plan.appearances,
    startAt: world.range.from,
    personOf: (id) => names.get(id),
    cameraOf: world.cameraKey,
  });
  report(world, search, evaluation);
  const line = matchLine(world, people);
  for (const match of evaluation.falseMatches) screen.say(`  FALSE: ${line(match)}`);
  const estimatedSeconds = draft.estimate.edges.some((edge) => edge.answered) ? draft.estimate.expectedSeconds : null;
  screen.say(
    `  took ${seconds.toFixed(1)} s, estimated ${estimatedSeconds?.toFixed(1) ?? 'unknown'} s; frames decoded by Mizar: ${decoded.toLocaleString('en')}`,
  );
  return { search, evaluation, seconds, estimatedSeconds, keyframesDecoded: decoded };
}

/** A box that has only just started may not answer in time what a search would take: it is asked again, as a person would. */
async function draftSearch(world: World, wanted: Partial<CreateSearch>): Promise<Search> {
  for (let attempt = 1; ; attempt++) {
    const draft = await world.api.createSearch(wanted);
    if (attempt === 3 || draft.estimate?.edges.every((edge) => edge.answered)) return draft;
    await world.api.deleteSearch(draft.id);
  }
}

/** Draws progress and prints every match as it arrives, until the search has ended. */
async function follow(world: World, id: string, people: Map<string, Person>): Promise<Search> {
  const seen = new Set<string>();
  const line = matchLine(world, people);
  const printNew = (matches: readonly Match[]) => {
    for (const match of matches) {
      if (seen.has(match.id)) continue;
      seen.add(match.id);
      screen.say(`  ${line(match)}`);
    }
  };
  const search = await untilDefined(30 * 60_000, 'the search to end', async () => {
    const now = await world.api.search(id);
    screen.bars(searchBars(now));
    printNew(await world.api.matches(id));
    return now.state === 'running' ? undefined : now;
  });
  printNew(await world.api.matches(id));
  screen.endBars();
  return search;
}

/** When and where, who, how sure. */
function matchLine(world: World, people: Map<string, Person>): (match: Match) => string {
  const personName = new Map([...people.values()].map((p) => [p.id, p.name]));
  const cameraName = new Map(world.cameras.map((c) => [c.id, c.name]));
  return ({ at, cameraId, personId, score }) =>
    `${at.slice(11, 19)}  ${(cameraName.get(cameraId) ?? '').padEnd(13)} ${(personName.get(personId) ?? '').padEnd(8)} ${score.toFixed(3)}`;
}

function report(world: World, search: Search, evaluation: Evaluation): void {
  const names = new Map(world.cameras.map((c) => [world.cameraKey(c.id) ?? '', c.name]));
  for (const line of evaluationTable(
    evaluation,
    (key) => names.get(key) ?? key,
    (name) => name,
  ))
    screen.say(line);
  screen.say(
    `  ${evaluation.found} of ${evaluation.expected} scheduled sightings of ${promisedFacePx} px and more found, ${evaluation.falseMatches.length} false matches`,
  );
  for (const line of coverageLines(search.coverage, cameraSeconds(world))) screen.say(line);
}

const cameraSeconds = (world: World): number => (world.cameras.length * (world.range.to - world.range.from)) / 1000;

/** By Mizar's own counter, of both boxes. */
async function keyframesDecoded(world: World): Promise<number> {
  const stats = await Promise.all(boxNames.map((box) => agentStats(world.boxData(box), 'mizar')));
  return stats.reduce((sum, s) => sum + (s.keyframes_decoded_total ?? 0), 0);
}

/** What must hold for the demo to count as a success. */
function judge(one: Round, two: Round): string[] {
  const failures: string[] = [];
  for (const [name, round] of Object.entries({ first: one, second: two })) {
    const { evaluation, search } = round;
    if (search.state !== 'finished') failures.push(`the ${name} search ended as ${search.state}`);
    if (evaluation.found < evaluation.expected)
      failures.push(`the ${name} search missed ${evaluation.expected - evaluation.found} sightings`);
    if (evaluation.falseMatches.length > 0) failures.push(`the ${name} search made ${evaluation.falseMatches.length} false matches`);
    const c = search.coverage;
    const sum = c.searchedSeconds + c.indexedSeconds + c.noFootageSeconds + c.failedSeconds;
    if (world && Math.abs(sum - cameraSeconds(world)) >= 0.0005) failures.push(`the coverage of the ${name} search does not add up`);
  }
  if (two.keyframesDecoded > 0) failures.push(`the second search decoded ${two.keyframesDecoded} frames`);
  const estimated = one.estimatedSeconds ?? one.seconds;
  const apart = Math.max(one.seconds / estimated, estimated / one.seconds);
  // Below some seconds the fixed cost of asking is all there is.
  if (one.seconds > 10 && apart > 2) failures.push(`estimate and actual of the first search are ${apart.toFixed(1)}x apart`);
  return failures;
}

function figures(one: Round, two: Round, accept: { n: number; p50: number; p99: number }) {
  const c = one.search.coverage;
  return {
    expected: one.evaluation.expected + two.evaluation.expected,
    found: one.evaluation.found + two.evaluation.found,
    false: one.evaluation.falseMatches.length + two.evaluation.falseMatches.length,
    accept_ms: accept,
    first: {
      seconds: Number(one.seconds.toFixed(2)),
      estimated_seconds: one.estimatedSeconds === null ? null : Number(one.estimatedSeconds.toFixed(2)),
      keyframes_decoded: one.keyframesDecoded,
    },
    second: { seconds: Number(two.seconds.toFixed(2)), estimated_seconds: two.estimatedSeconds, keyframes_decoded: two.keyframesDecoded },
    coverage: { searched_s: c.searchedSeconds, indexed_s: c.indexedSeconds, no_footage_s: c.noFootageSeconds, failed_s: c.failedSeconds },
  };
}

/** Ends everything that was started; a second Ctrl-C does not wait. */
function leave(status: number): Promise<never> {
  if (leaving) process.exit(status);
  leaving = (async () => {
    screen.endBars();
    await world?.stop();
    process.exit(status);
  })();
  return leaving;
}

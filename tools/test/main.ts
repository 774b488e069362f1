/**
 * `npm test`: types, lint, wire contracts, then every jest suite; ends with `N passed, N failed, N skipped`.
 * `npm run test:stack`: the suites that need a real Kafka (`*.stack.test.ts`).
 * Other arguments go to jest, to run one file: `npm test -- cloud/search`.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

interface Outcome {
  passed: number;
  failed: number;
  skipped: number;
}

interface JestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; startTime: number; endTime: number; status: string; assertionResults: { status: string }[] }[];
}

const args = process.argv.slice(2);
const stack = args.includes('--stack');
const only = args.filter((a) => a !== '--stack');
const total: Outcome = { passed: 0, failed: 0, skipped: 0 };
const bin = (name: string) => join('node_modules', '.bin', name);

function record(name: string, outcome: Outcome, startedAt: number): void {
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  total.skipped += outcome.skipped;
  console.log(
    `${name}: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}

/** Its words are held back until it has ended: checks run beside the suites. */
async function check(name: string, program: string, programArgs: string[], options: { cwd?: string } = {}): Promise<void> {
  const startedAt = Date.now();
  const child = spawn(program, programArgs, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk));
  const ok = (await statusOf(child)) === 0;
  process.stderr.write(Buffer.concat(said));
  record(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }, startedAt);
}

/** Null when a signal ended it, or when it could not be started. */
const statusOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
  });

/** The wire contracts against those of the commit before; nothing to compare with in a clone of depth one. */
async function breaking(): Promise<void> {
  const before = spawnSync('git', ['rev-parse', '--verify', '--quiet', 'HEAD~1:proto/buf.yaml'], { stdio: 'ignore' });
  if (before.status !== 0) record('buf breaking', { passed: 0, failed: 0, skipped: 1 }, Date.now());
  else await check('buf breaking', join('..', bin('buf')), ['breaking', '--against', '../.git#ref=HEAD~1,subdir=proto'], { cwd: 'proto' });
}

async function checks(): Promise<void> {
  await check('lint and format', bin('biome'), ['check', '--error-on-warnings']);
  await check('buf lint', join('..', bin('buf')), ['lint'], { cwd: 'proto' });
  await breaking();
  await check('types', process.execPath, [bin('tsc'), '-p', 'tsconfig.test.json']);
}

async function jest(name: string, jestArgs: string[], env: Record<string, string>): Promise<void> {
  const startedAt = Date.now();
  const folder = mkdtempSync(join(tmpdir(), 'star-test-'));
  const output = join(folder, 'report.json');
  const child = spawn(process.execPath, [bin('jest'), '--json', `--outputFile=${output}`, '--ci', ...jestArgs], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  await statusOf(child);
  let report: JestReport | undefined;
  try {
    report = JSON.parse(readFileSync(output, 'utf8')) as JestReport;
  } catch {
    console.log(`${name}: jest left no report`);
  }
  rmSync(folder, { recursive: true, force: true });
  if (!report) {
    record(name, { passed: 0, failed: 1, skipped: 0 }, startedAt);
    return;
  }
  for (const suite of report.testResults) {
    console.log(
      `  ${((suite.endTime - suite.startTime) / 1000).toFixed(1).padStart(6)} s  ${suite.status.padEnd(7)} ${relative(process.cwd(), suite.name)}`,
    );
  }
  // A suite that cannot be loaded, or breaks between its tests, has no failed test; it must not pass for that.
  const broken = report.testResults.filter(
    (suite) => suite.status === 'failed' && suite.assertionResults.every(({ status }) => status !== 'failed'),
  ).length;
  const none = report.testResults.length === 0 ? 1 : 0;
  if (none) console.log(`${name}: jest found no tests`);
  record(
    name,
    { passed: report.numPassedTests, failed: report.numFailedTests + broken + none, skipped: report.numPendingTests + report.numTodoTests },
    startedAt,
  );
}

/** The folder of STAR_FOOTAGE, or one that goes away with the suites: installations of one run show the same footage, rendered once. */
async function withFootage(suites: (env: Record<string, string>) => Promise<void>): Promise<void> {
  const given = process.env.STAR_FOOTAGE;
  const folder = given || mkdtempSync(join(tmpdir(), 'star-footage-'));
  await suites({ STAR_FOOTAGE: folder });
  if (!given) rmSync(folder, { recursive: true, force: true });
}

if (stack) {
  await withFootage((env) =>
    jest('stack', ['--runInBand', '--testTimeout=600000', ...(only.length > 0 ? only : ['\\.stack\\.test\\.ts$'])], { ...env, STACK: '1' }),
  );
} else if (only.length > 0) {
  await jest('jest', only, {});
} else {
  await Promise.all([
    checks(),
    jest('unit and integration', ['--testPathIgnorePatterns', 'tools/e2e', '/dist/', '/node_modules/', '\\.stack\\.test\\.ts$'], {}),
  ]);
  await withFootage((env) => jest('end to end', ['--runInBand', '--testTimeout=1800000', 'tools/e2e'], env));
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

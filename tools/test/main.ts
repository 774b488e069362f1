/**
 * `npm test`: types, lint, wire contracts, then every jest suite; ends with `N passed, N failed, N skipped`.
 * `npm run test:stack`: the suites that need a real Kafka (`*.stack.test.ts`).
 * Other arguments go to jest, to run one file: `npm test -- cloud/search`.
 */

import { spawnSync } from 'node:child_process';
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

function check(name: string, program: string, programArgs: string[], options: { cwd?: string } = {}): void {
  const startedAt = Date.now();
  const result = spawnSync(program, programArgs, { stdio: 'inherit', ...options });
  const ok = result.status === 0;
  record(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }, startedAt);
}

/** The wire contracts against those of the commit before; nothing to compare with in a clone of depth one. */
function breaking(): void {
  const before = spawnSync('git', ['rev-parse', '--verify', '--quiet', 'HEAD~1:proto/buf.yaml'], { stdio: 'ignore' });
  if (before.status !== 0) record('buf breaking', { passed: 0, failed: 0, skipped: 1 }, Date.now());
  else check('buf breaking', join('..', bin('buf')), ['breaking', '--against', '../.git#ref=HEAD~1,subdir=proto'], { cwd: 'proto' });
}

function jest(name: string, jestArgs: string[], env: Record<string, string>): void {
  const startedAt = Date.now();
  const folder = mkdtempSync(join(tmpdir(), 'star-test-'));
  const output = join(folder, 'report.json');
  spawnSync(process.execPath, [bin('jest'), '--json', `--outputFile=${output}`, '--ci', ...jestArgs], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
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

if (stack) {
  jest('stack', ['--runInBand', '--testTimeout=600000', ...(only.length > 0 ? only : ['\\.stack\\.test\\.ts$'])], { STACK: '1' });
} else if (only.length > 0) {
  jest('jest', only, {});
} else {
  check('types', process.execPath, [bin('tsc'), '-p', 'tsconfig.test.json']);
  check('lint and format', bin('biome'), ['check', '--error-on-warnings']);
  check('buf lint', join('..', bin('buf')), ['lint'], { cwd: 'proto' });
  breaking();
  jest('unit and integration', ['--testPathIgnorePatterns', 'tools/e2e', '/dist/', '/node_modules/', '\\.stack\\.test\\.ts$'], {});
  jest('end to end', ['--runInBand', '--testTimeout=1800000', 'tools/e2e'], {});
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

/** The demo as a new user runs it, in a folder of its own: the main job from registration to the last match. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { STAR_MODELS, STAR_PORTRAITS } = process.env;
/** The pack and people that the project brings, and real ones where there are any. */
const shown: [string, typeof test, Record<string, string | undefined>][] = [
  ['drawn people', test, { STAR_MODELS: '', STAR_PORTRAITS: '' }],
  ['photographed people', STAR_MODELS && STAR_PORTRAITS ? test : test.skip, { STAR_MODELS, STAR_PORTRAITS }],
];
const root = join(__dirname, '..', '..');

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function demo(args: readonly string[], env: Record<string, string | undefined>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'tools', 'demo', 'main.ts'), ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

test('a pack without its people is refused with what to do', async () => {
  const ended = await demo(['--once'], { STAR_MODELS: root, STAR_PORTRAITS: '' });
  expect(ended.status).toBe(2);
  expect(ended.stderr).toContain('belong together');
});

for (const [people, tested, env] of shown) {
  tested(`two boxes find every scheduled sighting of ${people}, account for every second, and answer again without decoding`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'star-demo-'));
    try {
      const ended = await demo(['--once', '--json'], { ...env, STAR_DEMO_FOLDER: folder });
      if (ended.status !== 0) throw new Error(ended.stderr.slice(-6000));
      const figures = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '{}');
      expect(figures.found).toBe(figures.expected);
      expect(figures.expected).toBeGreaterThan(15);
      expect(figures.false).toBe(0);
      expect(figures.first.keyframes_decoded).toBeGreaterThan(2000);
      expect(figures.second.keyframes_decoded).toBe(0);
      expect(figures.accept_ms.n).toBeGreaterThanOrEqual(200);
      const { searched_s, indexed_s, no_footage_s, failed_s } = figures.coverage;
      expect(searched_s + indexed_s + no_footage_s + failed_s).toBeCloseTo(9 * 600, 3);
      expect(no_footage_s).toBe(120);
      expect(failed_s).toBeGreaterThanOrEqual(600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

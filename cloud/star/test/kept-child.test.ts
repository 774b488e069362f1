/** Real processes: a few lines of Node that do as the test says. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@star/platform';
import { type KeptChild, keepChild } from '../src/kept-child';

const log = createLogger({ service: 'test', level: 'silent' });
let folder: string;
let kept: KeptChild | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'star-kept-'));
});
afterEach(async () => {
  await kept?.stop();
  kept = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const program = (source: string, env: Record<string, string> = {}) => {
  const script = join(folder, 'program.js');
  writeFileSync(script, source);
  return { name: 'program', script, env };
};
const says = `process.on('disconnect', () => process.exit(0)); process.send({ type: 'ready', value: process.env.VALUE });`;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 20));
}

it('starts it again when it is killed, with what it was told, and ends it for good', async () => {
  kept = await keepChild(program(says, { VALUE: 'told' }), log);
  const first = kept.pid() as number;
  expect(kept.ready()).toMatchObject({ value: 'told' });
  process.kill(first, 'SIGKILL');
  await until(() => kept?.pid() !== first);
  const second = kept.pid() as number;
  await kept.stop();
  expect(() => process.kill(second, 0)).toThrow();
});

it('rejects when it ends before it is ready, and does not try again', async () => {
  await expect(keepChild(program('process.exit(3)'), log)).rejects.toThrow('program ended with 3');
});

it('can be stopped while it waits to start again something that always ends', async () => {
  const once = join(folder, 'once');
  kept = await keepChild(
    program(
      `const fs = require('node:fs');
      if (fs.existsSync(process.env.ONCE)) process.exit(1);
      fs.writeFileSync(process.env.ONCE, ''); ${says}`,
      { ONCE: once },
    ),
    log,
  );
  const pids = new Set([kept.pid()]);
  process.kill(kept.pid() as number, 'SIGKILL');
  await until(() => pids.add(kept?.pid()).size > 2);
  await kept.stop();
});

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPack, packFolder, readPackInUse } from '@dipper/mizar';
import { afterEachCut } from '../../platform/test/support/power-cut';
import { type Life, recordLives, testRecorded } from '../../platform/test/support/recorded-writes';
import { installedIds } from '../src/models/list-packs';
import { buildDipper } from './support/models-command';

let folder: string;
beforeAll(buildDipper, 240_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pack-power-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

testRecorded('after a power cut the packs are there whole that were said to be, and the one in use is among them', async () => {
  const recorded = join(folder, 'recorded');
  mkdirSync(recorded);
  // Killed while a model, its folder, its name or the choice is synced; also in a second and third pack.
  const lives: Life[] = [3, 6, 9, 12, 19, 27].map((nth) => ({ until: 'fsync', nth }));
  const calls = await recordLives(recorded, join(__dirname, 'support', 'pack-lives.ts'), lives);
  await afterEachCut(calls, folder, 150, async (copy, { said }) => {
    const numbers = (what: string): number[] => said.filter((line) => line.startsWith(what)).map((line) => Number(/\d+$/.exec(line)?.[0]));
    const installed = installedIds(copy);
    expect(installed).toEqual(expect.arrayContaining(numbers('placed').map((n) => `pack-${n}`)));
    for (const id of installed) expect((await loadPack(packFolder(copy, id))).spec.id).toBe(id);
    const inUse = readPackInUse(copy);
    // Choices that were being made when it was killed may be there without having been promised; none goes back.
    expect(inUse?.chosenAtMs ?? -1).toBeGreaterThanOrEqual(numbers('using').at(-1) ?? -1);
    if (inUse) expect(installed).toContain(inUse.id);
  });
});

/** Installs one pack after the other and chooses each, until it is killed, and says each thing it was told is done. */
import { mkdtempSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { changePackInUse } from '@dipper/mizar';
import { tinyPack, writeTinyPack } from '../../../mizar/test/support/tiny-pack';
import { installedIds } from '../../src/models/list-packs';
import { makePacksFolder, placePack } from '../../src/models/place-pack';

async function main(dataDir: string): Promise<void> {
  makePacksFolder(dataDir);
  for (let n = installedIds(dataDir).length; ; n++) {
    const id = `pack-${n}`;
    const made = mkdtempSync(join(dirname(dataDir), 'made-'));
    writeTinyPack(made, tinyPack(id));
    await placePack(dataDir, made, () => undefined, {});
    writeSync(1, `placed ${id}\n`);
    await changePackInUse(dataDir, (now) => ({ id, ...(now ? { previous: now.id } : {}), chosenAtMs: n }));
    writeSync(1, `using ${id}\n`);
  }
}

void main(process.argv[2] ?? '');

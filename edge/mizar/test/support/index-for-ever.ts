/** A child that stores segment after segment until it is killed, and says each one it was told is stored. */
import { writeSync } from 'node:fs';
import { FaceIndex } from '../../src/index-store/face-index.store';
import { syntheticSegment } from './synthetic';

async function main(folder: string, first: number): Promise<void> {
  const index = FaceIndex.open(folder);
  for (let n = first; ; n++) {
    await index.replaceSpan(syntheticSegment('cam-1', n, 40), { segments_indexed_total: 1 });
    writeSync(1, `${n}\n`);
  }
}

void main(process.argv[2]!, Number(process.argv[3]));

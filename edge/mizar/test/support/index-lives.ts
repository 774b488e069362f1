/** Indexes segments until it is killed; goes on from what it finds. Says how many the index has promised to hold. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { FaceIndex } from '../../src/index-store/face-index.store';
import { segmentOf, stepNumber } from './index-steps';

async function main(folder: string): Promise<void> {
  const index = FaceIndex.open(join(folder, 'mizar'));
  if (index.lostDays > 0) throw new Error(`lost ${index.lostDays} days by being killed`);
  // What an index shows after a restart it must not take back either: nobody would look at that footage again.
  let stored = index.counters().segments_indexed_total ?? 0;
  writeSync(1, `${stored}\n`);
  for (;;) {
    await index.replaceSpan(segmentOf(stepNumber(stored)), { segments_indexed_total: 1 });
    stored += 1;
    writeSync(1, `${stored}\n`);
  }
}

void main(process.argv[2] as string);

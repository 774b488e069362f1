/** A child that spools batches of reports and finishes the oldest now and then, until it is killed; says what is promised after each. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSqlite } from '@dipper/platform';
import { migrations } from '../../src/migrations';
import { OutgoingStore } from '../../src/outgoing.store';

const store = new OutgoingStore(openSqlite(join(process.argv[2] as string, 'dubhe.db'), migrations), 100_000_000);
let next = 1;
let oldest = 1;
for (let step = 1; ; step++) {
  const batch = Array.from({ length: (step % 5) + 1 }, () => next++);
  store.add(
    batch.map((n) => ({
      id: `task:${n}`,
      key: 'taskReport',
      body: JSON.stringify({ n, pad: 'x'.repeat(3000) }),
      atMs: 1,
      cropSightingIds: [],
    })),
    0,
  );
  writeSync(1, `${oldest} ${next - 1}\n`);
  if (step % 4 !== 0) continue;
  const first = store.nextAfter(0, 6);
  store.finish(first.map((report) => report.seq));
  oldest += first.length;
  writeSync(1, `${oldest} ${next - 1}\n`);
}

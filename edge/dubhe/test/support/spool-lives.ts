/** Spools reports and has some taken until it is killed; goes on from what it finds. Says what waits whenever the store has promised it. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSqlite } from '@dipper/platform';
import { migrations } from '../../src/migrations';
import { OutgoingStore } from '../../src/outgoing.store';
import { nextStep, nothingYet, reportNumber, type Waiting } from './spool-steps';

const store = new OutgoingStore(openSqlite(join(process.argv[2] as string, 'dubhe', 'dubhe.db'), migrations), 100_000_000);
const found = store.nextAfter(0, 1000).map((report) => Number(report.id.slice('task:'.length)));
let waiting: Waiting = { oldest: found[0] ?? nothingYet.oldest, newest: found.at(-1) ?? nothingYet.newest };
const say = () => writeSync(1, `${JSON.stringify(waiting)}\n`);
// What a box shows after a restart it must not take back either: others act on it.
say();
for (;;) {
  const { add, finish, after } = nextStep(waiting);
  if (add) store.add(add.map(reportNumber), 0);
  if (finish) store.finish(store.nextAfter(0, finish).map((report) => report.seq));
  waiting = after;
  say();
}

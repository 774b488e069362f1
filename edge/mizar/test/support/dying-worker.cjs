/** A worker that answers like the real one, but dies of some pictures: of a width of 13 always, of 7 the first time. */
const { existsSync, writeFileSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');

const mark = workerData.pack.spec.name;
parentPort.on('message', (job) => {
  if (job.width === 13) process.exit(1);
  if (job.width === 7 && !existsSync(mark)) {
    writeFileSync(mark, '');
    throw new Error('once');
  }
  parentPort.postMessage({ id: job.id, ok: true, answer: { faces: [], detectMs: job.width, embedMs: 0 } });
});
parentPort.postMessage({ ready: true });

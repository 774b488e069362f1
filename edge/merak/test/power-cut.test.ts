import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskReport } from '@stardipper/proto';
import { afterEachCut } from '../../platform/test/support/power-cut';
import { recordLives, testRecorded } from '../../platform/test/support/recorded-writes';
import { openBox, progressIn } from './support/journal-box';
import { nextOf, nothingDone, type Progress, reportsOf, stepNumber, stepsPerTask, taskNumber } from './support/journal-steps';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merak-power-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The n-th of all reports: a task's first tells that it has begun, every other of one step. */
function reportNumber(n: number) {
  const [task, of] = [Math.floor(n / (stepsPerTask + 1)), n % (stepsPerTask + 1)];
  const { taskId } = taskNumber(task);
  const step = of === 0 ? undefined : stepNumber(task * stepsPerTask + of - 1);
  const cameraId = `cam-${(step?.position ?? 0) + 1}`;
  return {
    id: `${taskId}:${of + 1}`,
    taskId,
    seq: of + 1,
    state: of === stepsPerTask ? 'finished' : 'running',
    coverage: step?.findings.map((finding) => ({ cameraId, ...finding })) ?? [],
    matches: step?.matches ?? [],
    totals: { segmentsDone: of, matches: of, downloadedBytes: of * 1000 },
  };
}

testRecorded('after a power cut every accepted task is there, and each step and its report both or neither', async () => {
  const recorded = join(folder, 'recorded');
  mkdirSync(recorded);
  const lives = [30, 7, 12, 60].map((nth) => ({ until: 'fsync', nth }) as const);
  const calls = await recordLives(recorded, join(__dirname, 'support', 'journal-lives.ts'), lives);
  await afterEachCut(calls, folder, 120, (copy, { said }) => {
    const box = openBox(copy);
    const at = progressIn(box);
    const promised = said.length > 0 ? (JSON.parse(said.at(-1) as string) as Progress) : nothingDone;
    // What was under way has happened or not, but not in part.
    expect([promised, nextOf(promised).after]).toContainEqual(at);

    const bodies = box.outbox.page(1000).reports.map((report) => JSON.parse(report.bodyJson) as TaskReport);
    const waiting = Array.from({ length: reportsOf(at) - at.delivered }, (_, i) => reportNumber(at.delivered + i));
    expect(bodies).toMatchObject(waiting);
    expect(bodies).toHaveLength(waiting.length);

    const steps = Array.from({ length: at.steps }, (_, n) => stepNumber(n));
    expect(
      box.outbox
        .releases(1000)
        .map(({ segment }) => segment.playbackUri)
        .sort(),
    ).toEqual(steps.map((_, n) => `uri-${n}`).sort());
    for (const { taskId, matches } of steps)
      for (const match of matches) expect(box.tasks.addMatch(taskId, match.sightingId, match.personId)).toBe(false);
    const last = at.accepted > 0 ? box.tasks.get(taskNumber(at.accepted - 1).taskId) : undefined;
    if (last?.state === 'running') {
      const done = steps.filter((step) => step.taskId === last.params.taskId);
      const cameras = box.tasks.cameras(last);
      for (const [position, { ledger }] of cameras.entries()) {
        const until = done.findLast((step) => step.position === position)?.findings[0]?.to ?? last.params.range.from;
        expect(ledger.doneUntil).toBe(until);
      }
    }
    expect(box.db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    box.db.close();
  });
});

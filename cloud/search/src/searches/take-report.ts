import type { BusRecord, Tx } from '@star/platform';
import { isFinal, type TaskReport, taskReport } from '@stardipper/proto';
import { type KindTotals, type LedgerRow, rowsOfReport, sumOf } from '../coverage/coverage';
import { clearFilled, fillCoverage, layCoverage } from '../coverage/coverage.store';
import { deletedAmong, doomPerson } from '../forgetting/deletion.store';
import { doomLateCrops } from '../forgetting/doom-late-crops';
import { countMatches, insertMatches, matchIdOf } from '../matches/match.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { announceChange, findSearch, lockSearch, logMatches, type SearchRow, writeSearchState } from './search.store';
import {
  coverageOf,
  factsOf,
  findTask,
  isEarlyReport,
  noteEarlyReport,
  rangeMsOf,
  settleReports,
  statesOfTasks,
  type TaskRow,
  writeTasks,
} from './task.store';
import { gapReason, isComplete, isFinalTask, stateOfSearch, stateOfTask } from './task-state';

/** Reports may overtake each other, but a number this far ahead is a broken box, and every early number costs a row. */
const maxGap = 10_000;
/** A frame's time is rounded and clocks are corrected; further off it is not of this search. */
const timeSlackMs = 60_000;
const maxFramePx = 65_535;
const maxSamplingMs = 2_147_483_647;

/**
 * Takes one report of a box, in any order and any number of times. Matches go to ClickHouse first, under an id that
 * makes a repetition harmless, then everything else in one PostgreSQL transaction: a crash between the two is healed
 * by the redelivery. Rejects what is malformed or not the box's to say: it ends in the dead letters with the reason.
 */
export const takeReport =
  (deps: SearchDeps) =>
  async (record: BusRecord<'search.progressed.v1'>): Promise<void> => {
    const { tenantId, message } = record;
    const report = parseReport(message.bodyJson, message.reportId, message.taskId);
    const known = await deps.database.tenant(tenantId, async (tx) => {
      const task = await findTask(tx, report.taskId);
      const search = task && (await findSearch(tx, task.search_id));
      if (!task || !search) throw searchError('report.task_unknown', { taskId: report.taskId });
      if (task.edge_id !== message.edgeId) throw searchError('report.foreign', { taskId: report.taskId, edgeId: message.edgeId });
      const repeated = report.seq <= task.settled_seq || (await isEarlyReport(tx, task.id, report.seq));
      return repeated ? undefined : { task, search, deleted: await deletedAmong(tx, search.person_ids) };
    });
    if (!known) return;
    checkAgainst(report, known.task, known.search);
    // A box that has not heard yet may still report somebody who was deleted, and upload the pictures.
    const matches = report.matches.filter((match) => !known.deleted.has(match.personId));
    const late = report.matches.filter((match) => known.deleted.has(match.personId));
    let stored = 0;
    if (matches.length > 0) {
      await insertMatches(deps.analytics, tenantId, known.task, report.seq, matches);
      stored = await countMatches(deps.analytics, tenantId, known.task);
    }
    await deps.database.tenant(tenantId, async (tx) => {
      await applyReport(deps, tx, tenantId, { ...report, matches }, stored);
      await doomLateCrops(tx, tenantId, known.task.edge_id, late);
    });
  };

function parseReport(bodyJson: string, reportId: string, taskId: string): TaskReport {
  let body: unknown;
  try {
    body = JSON.parse(bodyJson);
  } catch (cause) {
    throw searchError('report.invalid', { reason: 'json' }, cause);
  }
  const parsed = taskReport.safeParse(body);
  if (!parsed.success) throw searchError('report.invalid', { path: parsed.error.issues[0]?.path.join('/') }, parsed.error);
  const report = parsed.data;
  const consistent = report.id === `${report.taskId}:${report.seq}` && report.id === reportId && report.taskId === taskId;
  if (!consistent || !isUuid(report.taskId)) throw searchError('report.invalid', { reason: 'id' });
  return report;
}

export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

function checkAgainst(report: TaskReport, task: TaskRow, search: SearchRow): void {
  const invalid = (reason: string) => searchError('report.invalid', { reason, reportId: report.id });
  if (report.seq > task.settled_seq + maxGap) throw searchError('report.gap_too_wide', { seq: report.seq, settledSeq: task.settled_seq });
  if (report.searchId !== task.search_id) throw invalid('search');
  if (report.packId !== search.pack_id) throw invalid('pack');
  if (Object.values(report.totals).some((total) => total < 0)) throw invalid('totals');
  const cameras = new Set(task.camera_ids);
  const persons = new Set(search.person_ids);
  for (const span of report.coverage) {
    if (!cameras.has(span.cameraId)) throw invalid('camera');
    if (span.from > span.to) throw invalid('span');
  }
  for (const match of report.matches) {
    if (!cameras.has(match.cameraId)) throw invalid('camera');
    if (!persons.has(match.personId)) throw invalid('person');
    if (match.at < task.from_ms - timeSlackMs || match.at > task.to_ms + timeSlackMs) throw invalid('time');
    if (match.frame.some((side) => side < 1 || side > maxFramePx)) throw invalid('frame');
    if (match.score < -1 || match.score > 1.001) throw invalid('score');
  }
}

async function applyReport(deps: SearchDeps, tx: Tx, tenantId: string, report: TaskReport, storedMatches: number): Promise<void> {
  // A search deleted since then has taken the task with it: there is nothing left to add to.
  const search = await lockSearch(tx, report.searchId);
  const before = search && (await findTask(tx, report.taskId));
  if (!search || !before) return;
  if (report.seq <= before.settled_seq || !(await noteEarlyReport(tx, tenantId, before.id, report.seq))) return;
  let task = await revive(tx, before);
  const settled = await settleReports(tx, task.id, task.settled_seq);
  const rows = rowsOfReport(report.coverage, { from: task.from_ms, to: task.to_ms }, report.seq).map(withinColumns);
  task = addCoverage(task, await layCoverage(tx, tenantId, task, rows, settled));
  task = { ...task, settled_seq: settled, matches: Math.max(task.matches, storedMatches), ...newest(task, report) };
  await settleTasks(deps, tx, tenantId, search, [{ before, next: task }]);
  const revision = await announceChange(tx, search.id);
  // Deleted since the matches were stored: they are removed once more.
  const deleted = await deletedAmong(tx, [...new Set(report.matches.map((match) => match.personId))]);
  for (const personId of deleted) await doomPerson(tx, tenantId, personId);
  const matchIds = [...new Set(report.matches.filter((match) => !deleted.has(match.personId)).map(matchIdOf))];
  if (matchIds.length === 0) return;
  await logMatches(tx, tenantId, search.id, revision, matchIds);
  await deps.writeEvent(tx, {
    topic: 'search.matched.v1',
    key: `${tenantId}:${search.id}`,
    tenantId,
    message: { searchId: search.id, taskId: task.id, edgeId: task.edge_id, matchIds },
  });
}

/** Counters are totals, so the highest report's are right whatever comes late. */
function newest(task: TaskRow, report: TaskReport): Partial<TaskRow> {
  if (report.seq <= task.highest_seq) return {};
  return {
    highest_seq: report.seq,
    highest_state: report.state,
    report_error: isFinal(report.state) && report.error ? safeError(report.error) : null,
    keyframes_decoded: report.totals.keyframesDecoded,
    downloaded_bytes: report.totals.downloadedBytes,
    segments_failed: report.totals.segmentsFailed,
  };
}

function safeError(error: NonNullable<TaskReport['error']>): NonNullable<TaskReport['error']> {
  return /^[a-z0-9_.]{1,64}$/.test(error.code) ? { code: error.code, params: error.params ?? {} } : { code: 'task_failed' };
}

const withinColumns = (row: LedgerRow): LedgerRow => ({
  ...row,
  reason: row.reason ?? (row.kind === 'failed' ? 'not_given' : null),
  samplingMs: row.samplingMs === null ? null : Math.min(row.samplingMs, maxSamplingMs),
});

/** A box that reports has the task although createTask seemed to fail: what was booked as failed is pending again. */
async function revive(tx: Tx, task: TaskRow): Promise<TaskRow> {
  if (task.highest_seq > 0 || !task.rpc_error || task.swept_at) return task;
  return { ...task, failed_ms: task.failed_ms - (await clearFilled(tx, task.id)) };
}

function addCoverage(task: TaskRow, delta: KindTotals): TaskRow {
  return {
    ...task,
    searched_ms: task.searched_ms + delta.searched,
    indexed_ms: task.indexed_ms + delta.indexed,
    no_footage_ms: task.no_footage_ms + delta.no_footage,
    failed_ms: task.failed_ms + delta.failed,
  };
}

export interface TaskChange {
  /** What the table holds. */
  readonly before: TaskRow;
  readonly next: TaskRow;
}

/**
 * Derives the states of tasks from their facts, writes them, books what nobody will report any more as failed, and
 * moves their search on. Expects the search locked.
 */
export async function settleTasks(
  deps: SearchDeps,
  tx: Tx,
  tenantId: string,
  search: SearchRow,
  changes: readonly TaskChange[],
): Promise<void> {
  const settled: TaskRow[] = [];
  for (const { before, next } of changes) {
    let task: TaskRow = { ...next, state: stateOfTask(factsOf(next)) };
    const facts = factsOf(task);
    if (isFinalTask(task.state)) {
      // What Star had filled in for another reason (an expiry before the last report) is booked anew.
      if (isComplete(facts) && before.swept_at) task = { ...task, failed_ms: task.failed_ms - (await clearFilled(tx, task.id)) };
      if (sumOf(coverageOf(task)) < rangeMsOf(task)) {
        task = { ...task, failed_ms: task.failed_ms + (await fillCoverage(tx, tenantId, task, gapReason(facts))) };
      }
    }
    settled.push(task);
  }
  await writeTasks(tx, settled);
  if (changes.every(({ before }, place) => settled[place]?.state === before.state)) return;
  const states = await statesOfTasks(tx, search.id);
  const finishedAt = states.every(isFinalTask) ? (search.finished_at ?? deps.now()) : null;
  await writeSearchState(tx, search.id, { state: stateOfSearch(states, search.cancelled_at !== null), finishedAt });
}

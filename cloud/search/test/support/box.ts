/** What a box would send about its tasks. */
import { randomUUID } from 'node:crypto';
import type { BusRecord } from '@star/platform';
import type { CoverageSpan, CreateTaskParams, MatchReport, Search, TaskReport } from '@stardipper/proto';
import { anHour, aPerson, aRecord, type Operator, packId, until, type World } from './world';

export async function aRunningSearch(
  world: World,
  operator: Operator,
  change: object = {},
): Promise<{ search: Search; tasks: CreateTaskParams[] }> {
  const personIds = [await aPerson(world, operator)];
  const draft = await world.request(operator.token, 'POST', '/searches', {
    personIds,
    cameraIds: operator.cameraIds,
    ...anHour(),
    ...change,
  });
  if (draft.status !== 201) throw new Error(JSON.stringify(draft.body));
  const started = await world.request(operator.token, 'POST', `/searches/${draft.body.id}/start`);
  if (started.status !== 200) throw new Error(JSON.stringify(started.body));
  const search = started.body as Search;
  const asked = await until('the tasks are on the bus', () => {
    const found = requested(world, search.id);
    return found.length >= search.tasks.length && found;
  });
  return { search, tasks: asked.map((record) => JSON.parse(record.message.paramsJson)) };
}

export const requested = (world: World, searchId: string): BusRecord<'search.task.requested.v1'>[] =>
  world.published.filter(
    (record): record is BusRecord<'search.task.requested.v1'> =>
      record.topic === 'search.task.requested.v1' && (record as BusRecord<'search.task.requested.v1'>).message.searchId === searchId,
  );

export const aReport = (task: CreateTaskParams, seq: number, change: Partial<TaskReport> = {}): TaskReport => ({
  id: `${task.taskId}:${seq}`,
  taskId: task.taskId,
  searchId: task.searchId,
  seq,
  state: 'running',
  packId,
  coverage: [],
  matches: [],
  totals: {
    rangeMs: 0,
    doneMs: 0,
    segmentsDone: seq,
    segmentsFailed: 0,
    downloadedBytes: seq * 100,
    keyframesDecoded: seq * 10,
    matches: 0,
  },
  ...change,
});

export const progressed = (
  operator: Operator,
  report: TaskReport | string,
  edgeId = operator.edgeId,
): BusRecord<'search.progressed.v1'> => {
  const known = typeof report === 'string' ? { id: 'x', taskId: 'x' } : report;
  return aRecord('search.progressed.v1', operator.caller.tenantId, {
    edgeId,
    reportId: known.id,
    taskId: known.taskId,
    bodyJson: typeof report === 'string' ? report : JSON.stringify(report),
    reportedAtMs: Date.now(),
  });
};

export const span = (
  cameraId: string,
  from: number,
  to: number,
  kind: CoverageSpan['kind'] = 'searched',
  reason?: string,
): CoverageSpan => ({
  cameraId,
  from,
  to,
  kind,
  ...(reason !== undefined && { reason }),
  ...((kind === 'searched' || kind === 'indexed') && { samplingMs: 2_000 }),
});

export const aMatch = (cameraId: string, personId: string, at: number, change: Partial<MatchReport> = {}): MatchReport => ({
  sightingId: randomUUID(),
  personId,
  cameraId,
  at,
  score: 0.75,
  quality: 0.5,
  box: [10, 20, 30, 40],
  frame: [1920, 1080],
  ...change,
});

export const rpcFinished = (
  operator: Operator,
  task: CreateTaskParams,
  change: Partial<BusRecord<'device.rpc.finished.v1'>['message']> = {},
): BusRecord<'device.rpc.finished.v1'> =>
  aRecord('device.rpc.finished.v1', operator.caller.tenantId, {
    rpcId: randomUUID(),
    edgeId: operator.edgeId,
    method: 'createTask',
    correlationId: task.taskId,
    state: 'SUCCESSFUL',
    replyJson: JSON.stringify({ accepted: true, taskId: task.taskId }),
    roundTripMs: 12.5,
    ...change,
  });

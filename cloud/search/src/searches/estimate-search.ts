import { type devices, type Estimate, type EstimateTaskReply, estimateTaskParams, estimateTaskReply, type Span } from '@stardipper/proto';
import type { SearchDeps } from '../ports';
import { priceOf } from './price';
import { startAndReportS } from './start-and-report';
import { listTimedSearches } from './timed-searches.read';

/** createTask and estimateTask take at most this many cameras. */
export const maxCamerasOfTask = 256;

export function byEdge(cameras: readonly devices.CameraRef[]): devices.CameraRef[][] {
  const edges = new Map<string, devices.CameraRef[]>();
  for (const camera of cameras) {
    const known = edges.get(camera.edgeId);
    if (known) known.push(camera);
    else edges.set(camera.edgeId, [camera]);
  }
  return [...edges.values()];
}

export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

export const taskCameras = (cameras: readonly devices.CameraRef[]) =>
  cameras.map((camera) => ({ id: camera.cameraId, recorderId: camera.recorderId, channel: camera.channel }));

const round = (seconds: number) => Math.round(seconds * 100) / 100;

type EdgeEstimate = Estimate['edges'][number];
type Answer = Exclude<EstimateTaskReply, { error: unknown }>;

/**
 * Asks every box at once and waits no longer than the settings say. Camera-hours and price are Star's own
 * arithmetic and cover all cameras; what only a box can know is left out for those that did not answer.
 */
export const estimateSearch =
  (deps: SearchDeps) =>
  async (tenantId: string, cameras: readonly devices.CameraRef[], range: Span, packId: string): Promise<Estimate> => {
    const rangeMs = range.to - range.from;
    const timed = deps.database.tenant(tenantId, (tx) => listTimedSearches(tx, tenantId));
    const [finished, ...edges] = await Promise.all([
      timed,
      ...byEdge(cameras).map((own) => estimateEdge(deps, tenantId, own, range, packId)),
    ]);
    const slowest = Math.max(0, ...edges.map((edge) => edge.expectedSeconds));
    return {
      cameraHours: (cameras.length * rangeMs) / 3_600_000,
      indexedHours: edges.reduce((sum, edge) => sum + edge.indexedSeconds, 0) / 3_600,
      // A box tells its own part. Where none does, nothing is known.
      expectedSeconds: edges.some((edge) => edge.answered) ? round(slowest + startAndReportS(finished)) : 0,
      price: { amount: priceOf(cameras.length * rangeMs, deps.settings.pricePerCameraHour), currency: deps.settings.currency },
      edges,
    };
  };

async function estimateEdge(
  deps: SearchDeps,
  tenantId: string,
  cameras: readonly devices.CameraRef[],
  range: Span,
  packId: string,
): Promise<EdgeEstimate> {
  const first = cameras[0] as devices.CameraRef;
  const base = {
    edgeId: first.edgeId,
    edgeName: first.edgeName,
    cameraSeconds: (cameras.length * (range.to - range.from)) / 1_000,
  };
  const unknown = { ...base, answered: false, indexedSeconds: 0, expectedSeconds: 0, measured: false, recorders: [] };
  if (!first.edgeOnline) return unknown;
  try {
    const answers = await Promise.all(
      chunks(cameras, maxCamerasOfTask).map((some) => ask(deps, tenantId, first.edgeId, { range, cameras: taskCameras(some), packId })),
    );
    const recorders = new Map(answers.flatMap((answer) => answer.recorders).map((recorder) => [recorder.recorderId, recorder]));
    return {
      ...base,
      answered: true,
      indexedSeconds: answers.reduce((sum, answer) => sum + answer.indexedMs, 0) / 1_000,
      expectedSeconds: answers.reduce((sum, answer) => sum + answer.seconds, 0),
      measured: answers.every((answer) => answer.measured),
      recorders: [...recorders.values()],
    };
  } catch {
    // Offline, slow, or talking nonsense: for an estimate it is all the same.
    return unknown;
  }
}

async function ask(deps: SearchDeps, tenantId: string, edgeId: string, params: unknown): Promise<Answer> {
  const text = JSON.stringify(estimateTaskParams.parse(params));
  const { estimateTimeoutMs } = deps.settings;
  // The port promises the timeout; the race makes it true whatever stands behind it.
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), estimateTimeoutMs + 100);
  });
  try {
    const reply = estimateTaskReply.parse(
      JSON.parse(await Promise.race([deps.edges.askEdge(tenantId, edgeId, 'estimateTask', text, estimateTimeoutMs), late])),
    );
    if ('error' in reply) throw new Error(reply.error.code);
    return reply;
  } finally {
    clearTimeout(timer);
  }
}

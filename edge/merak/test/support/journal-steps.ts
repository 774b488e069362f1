import type { CreateTaskParams, MatchReport } from '@stardipper/proto';
import type { Step } from '../../src/journal';

const minuteMs = 60_000;
const startMs = Date.UTC(2026, 10, 1, 8);
export const stepsPerTask = 6;
const cameraCount = 2;

/** How far Merak is: tasks accepted, begun and with how many of their steps recorded, and reports that Dubhe has. */
export interface Progress {
  readonly accepted: number;
  readonly begun: number;
  readonly steps: number;
  readonly delivered: number;
}

export const nothingDone: Progress = { accepted: 0, begun: 0, steps: 0, delivered: 0 };
/** Each beginning and each step makes one. */
export const reportsOf = ({ begun, steps }: Progress): number => begun + steps;
export const deliveredAtOnce = 4;

/** One task after the other; five reports are not kept waiting. */
export function nextOf(at: Progress): { readonly does: 'accept' | 'begin' | 'record' | 'deliver'; readonly after: Progress } {
  if (reportsOf(at) - at.delivered > deliveredAtOnce)
    return { does: 'deliver', after: { ...at, delivered: at.delivered + deliveredAtOnce } };
  if (at.steps === at.accepted * stepsPerTask) return { does: 'accept', after: { ...at, accepted: at.accepted + 1 } };
  if (at.begun < at.accepted) return { does: 'begin', after: { ...at, begun: at.begun + 1 } };
  return { does: 'record', after: { ...at, steps: at.steps + 1 } };
}

export const taskNumber = (n: number): CreateTaskParams => ({
  taskId: `task-${n}`,
  searchId: 'search-1',
  priority: 3,
  expiresAt: 4_000_000_000_000,
  range: { from: startMs, to: startMs + (stepsPerTask / cameraCount) * minuteMs },
  cameras: Array.from({ length: cameraCount }, (_, i) => ({ id: `cam-${i + 1}`, recorderId: 'nvr-1', channel: i + 1 })),
  packId: 'test.1',
  query: { url: 'http://127.0.0.1/query', sha256: '0'.repeat(64), bytes: 1 },
});

const matchNumber = (n: number, cameraId: string, at: number): MatchReport => ({
  sightingId: `sighting-${n}`,
  personId: 'anna',
  cameraId,
  at,
  score: 0.9,
  quality: 0.8,
  box: [1, 2, 3, 4],
  frame: [1920, 1080],
});

/** The n-th of all steps: a minute of one camera, searched, with somebody in it, its file to be let go. */
export function stepNumber(n: number): Step & { readonly taskId: string; readonly matches: readonly MatchReport[] } {
  const ofTask = n % stepsPerTask;
  const position = ofTask % cameraCount;
  const from = startMs + Math.floor(ofTask / cameraCount) * minuteMs;
  const to = from + minuteMs;
  return {
    taskId: `task-${Math.floor(n / stepsPerTask)}`,
    position,
    findings: [{ from, to, kind: 'searched', samplingMs: 1000 }],
    matches: [matchNumber(n, `cam-${position + 1}`, from + 500)],
    // Steps with one do not wait for company, so that each is a commit.
    window: { from, to, known: [] },
    tally: { segmentsDone: 1, downloadedBytes: 1000 },
    release: { recorderId: 'nvr-1', channel: position + 1, fromMs: from, toMs: to, playbackUri: `uri-${n}`, sizeBytes: 1, growing: false },
  };
}

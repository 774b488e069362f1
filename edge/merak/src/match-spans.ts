import type { MatchReport, mizar, Span } from '@stardipper/proto';
import { toleranceMs } from './coverage';
import { type CameraRun, type SearchBox } from './search-box';

const name = /^[\w.:-]{1,64}$/;
/** More than this is recorded on the way, so that a crowd and a low threshold cannot fill the memory. */
const matchesPerStep = 2_000;

/**
 * Asks the face index who of the query was seen in these spans. Asks a little beyond them, because a file may hold up
 * to the tolerance more than was listed; a match found twice is recorded once.
 */
export async function matchSpans(box: SearchBox, camera: CameraRun, spans: readonly Span[]): Promise<MatchReport[]> {
  const { run } = camera;
  const from = Math.max(run.params.range.from, Math.min(...spans.map((s) => s.from)) - toleranceMs);
  const to = Math.min(run.params.range.to, Math.max(...spans.map((s) => s.to)) + toleranceMs);
  const leave = await box.asking.enter(camera.turn, run.signal);
  let found: MatchReport[] = [];
  try {
    for (const persons of run.query.parts) {
      const request = {
        cameraId: camera.camera.id,
        fromMs: from,
        toMs: to,
        packId: run.params.packId,
        threshold: run.query.threshold,
        persons: [...persons],
      };
      for await (const page of box.neighbours.matchSightings(request, run.signal)) {
        found.push(...page.flatMap((match) => readMatch(camera, match)));
        if (found.length < matchesPerStep) continue;
        await box.journal.record(run.progress, { position: camera.position, findings: [], matches: found });
        found = [];
      }
    }
  } finally {
    leave();
  }
  return found;
}

/** A match that is not one (another person, another time, no number) is left out: Star would refuse the whole report. */
function readMatch({ run, camera }: CameraRun, m: mizar.SightingMatch): MatchReport[] {
  const box = [m.box?.x ?? 0, m.box?.y ?? 0, m.box?.width ?? 0, m.box?.height ?? 0] as [number, number, number, number];
  const { range } = run.params;
  const sound =
    name.test(m.sightingId) &&
    run.query.personIds.has(m.personId) &&
    Number.isSafeInteger(m.atMs) &&
    m.atMs >= range.from &&
    m.atMs < range.to &&
    [m.score, m.quality, ...box].every(Number.isFinite);
  if (!sound) return [];
  const { sightingId, personId, atMs, score, quality, frameWidth, frameHeight } = m;
  return [{ sightingId, personId, cameraId: camera.id, at: atMs, score, quality, box, frame: [frameWidth, frameHeight] }];
}

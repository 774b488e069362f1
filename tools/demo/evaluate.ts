/** Holds what a search found against the schedule of the footage. */

import type { Match } from '@stardipper/proto';
import { type Appearance, promisedFacePx } from '../footage/schedule.ts';

/** Sampling every two seconds, and a recorder's clock read to the second. */
const slackMs = 2000;

export interface Verdict {
  readonly appearance: Appearance;
  readonly found: boolean;
  readonly promised: boolean;
  readonly bestScore: number | undefined;
  readonly matches: number;
}

export interface Evaluation {
  readonly verdicts: readonly Verdict[];
  readonly falseMatches: readonly Match[];
  /** Scheduled sightings large enough to be promised, and how many of them were found. */
  readonly expected: number;
  readonly found: number;
}

export interface Truth {
  readonly appearances: readonly Appearance[];
  /** Unix ms of the recording's start. */
  readonly startAt: number;
  readonly personOf: (personId: string) => string | undefined;
  readonly cameraOf: (cameraId: string) => string | undefined;
}

/** A match is false when its person was not scheduled there at that time. */
export function evaluate(people: readonly string[], matches: readonly Match[], truth: Truth): Evaluation {
  const wanted = truth.appearances.filter((a) => people.includes(a.person));
  const belongs = (match: Match, a: Appearance): boolean => {
    const at = Date.parse(match.at) - truth.startAt;
    return (
      truth.personOf(match.personId) === a.person &&
      truth.cameraOf(match.cameraId) === a.camera &&
      at >= a.from - slackMs &&
      at < a.to + slackMs
    );
  };
  const verdicts = wanted.map((appearance): Verdict => {
    const own = matches.filter((m) => belongs(m, appearance));
    return {
      appearance,
      found: own.length > 0,
      promised: appearance.facePx >= promisedFacePx,
      bestScore: own.length > 0 ? Math.max(...own.map((m) => m.score)) : undefined,
      matches: own.length,
    };
  });
  const promised = verdicts.filter((v) => v.promised);
  return {
    verdicts,
    falseMatches: matches.filter((m) => !wanted.some((a) => belongs(m, a))),
    expected: promised.length,
    found: promised.filter((v) => v.found).length,
  };
}

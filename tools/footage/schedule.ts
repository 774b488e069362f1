/**
 * Who walks past which simulated camera, when, and how large: the truth that a search's answer is held against.
 * Times are milliseconds from the start of the recording.
 */

export const sceneMs = 10_000;
export const segmentMs = 60_000;
export const minutes = 10;
export const recordingMs = minutes * segmentMs;
/** Faces narrower than this do not embed usefully, so nobody is promised to find them. */
export const promisedFacePx = 48;

export interface Photo {
  /** The part of the file name before the dash: one person. */
  readonly person: string;
  readonly file: string;
}

export interface CameraPlan {
  /** `<box>.<channel>` */
  readonly key: string;
  readonly box: string;
  readonly channel: number;
  readonly name: string;
  readonly codec: 'h264' | 'hevc';
  /** Seconds between keyframes. */
  readonly keyframeS: number;
  readonly background: number;
  /** Minutes for which the recorder has nothing. */
  readonly gap: readonly number[];
  /** Minute whose file ends after 60 % of its bytes. */
  readonly truncated?: number;
  /** A camera that the recorder lists and nobody can reach. */
  readonly unreachable?: boolean;
}

export interface Appearance {
  readonly person: string;
  readonly photo: string;
  readonly camera: string;
  readonly from: number;
  readonly to: number;
  /** Width of the face in the 1920 x 1080 frame. */
  readonly facePx: number;
}

export interface FootagePlan {
  readonly cameras: readonly CameraPlan[];
  readonly appearances: readonly Appearance[];
  /** Two groups of people to search for, one after the other. */
  readonly groups: readonly (readonly string[])[];
  /** Enrolled, never shown. */
  readonly absent: string;
  readonly strangers: readonly string[];
  /** Photo to enrol each person by; never the one in the footage. */
  readonly enrolled: Readonly<Record<string, string>>;
}

export class PortraitsError extends Error {}

const camera = (box: string, channel: number, name: string, background: number, extra: Partial<CameraPlan> = {}): CameraPlan => ({
  key: `${box}.${channel}`,
  box,
  channel,
  name,
  codec: 'h264',
  keyframeS: 2,
  background,
  gap: [],
  ...extra,
});

const cameras: readonly CameraPlan[] = [
  camera('east', 1, 'East gate', 0),
  camera('east', 2, 'Lobby 1', 1, { gap: [4, 5] }),
  camera('east', 3, 'Car park', 2),
  camera('east', 4, 'Lift hall', 0, { codec: 'hevc' }),
  camera('west', 1, 'West gate', 1),
  camera('west', 2, 'Playground', 2, { truncated: 6 }),
  camera('west', 3, 'Bicycle shed', 0),
  camera('west', 4, 'Back door', 1, { keyframeS: 10 }),
  camera('west', 5, 'Roof terrace', 2, { unreachable: true }),
];

/** Sizes of successive appearances; the smallest are there to be seen missing, not to be found. */
const faceSizes = [96, 48, 128, 64, 32, 56, 80, 160] as const;

/** Reads `<person>-<letter>.<jpg|jpeg|png>`; other names are left out. */
export function readPhotoName(file: string): Photo | undefined {
  const found = /^([a-z0-9]+)-[a-z]\.(?:jpe?g|png)$/i.exec(file);
  return found?.[1] ? { person: found[1], file } : undefined;
}

/**
 * A plan for these photos. People with two photos can be enrolled by one and shown by the other; everybody
 * else is a stranger. Needs five of the former and twenty of the latter.
 */
export function planFootage(files: readonly string[]): FootagePlan {
  const byPerson = new Map<string, string[]>();
  for (const file of [...files].sort()) {
    const photo = readPhotoName(file);
    if (photo) byPerson.set(photo.person, [...(byPerson.get(photo.person) ?? []), file]);
  }
  const known = [...byPerson].filter(([, photos]) => photos.length >= 2);
  const strangers = [...byPerson].filter(([, photos]) => photos.length === 1);
  if (known.length < 5 || strangers.length < 20) {
    throw new PortraitsError(
      `The portraits hold ${known.length} people with two photos and ${strangers.length} with one; at least 5 and 20 are needed (named like anna-a.jpg, anna-b.jpg).`,
    );
  }
  const people = known.map(([person]) => person);
  const absent = people.at(-1) as string;
  const shown = people.slice(0, -1);
  const half = Math.ceil(shown.length / 2);
  const free = freeSlots();
  const appearances = shown.flatMap((person, p) =>
    [0, 1, 2, 3].map((n): Appearance => {
      const slot = free.next((p * 4 + n) * 7);
      return { person, photo: byPerson.get(person)?.[1] as string, ...slot, facePx: faceSizes[(p * 3 + n) % faceSizes.length] as number };
    }),
  );
  const strangersSeen = strangers.map(([person, photos], s): Appearance => {
    const slot = free.next(s * 5 + 3, true);
    return { person, photo: photos[0] as string, ...slot, facePx: faceSizes[(s * 5 + 3) % faceSizes.length] as number };
  });
  return {
    cameras,
    appearances: [...appearances, ...strangersSeen],
    groups: [[...shown.slice(0, half), absent], shown.slice(half)],
    absent,
    strangers: strangers.map(([person]) => person),
    enrolled: Object.fromEntries(known.map(([person, photos]) => [person, photos[0] as string])),
  };
}

/** Hands out ten-second places with footage, spread over cameras and minutes; strangers may share one, three at most. */
function freeSlots() {
  const places: { camera: string; from: number; to: number }[] = [];
  for (let slot = 0; slot < recordingMs / sceneMs; slot++) {
    for (const c of cameras) {
      const minute = Math.floor((slot * sceneMs) / segmentMs);
      // The end of a truncated file is lost, so nobody is promised to be found in that minute.
      if (c.unreachable || c.gap.includes(minute) || c.truncated === minute) continue;
      places.push({ camera: c.key, from: slot * sceneMs, to: (slot + 1) * sceneMs });
    }
  }
  const used = new Map<number, number>();
  return {
    next(seed: number, shared = false) {
      // 211 and the number of places have no common divisor, so the walk reaches every place.
      let at = (seed * 211 + 17) % places.length;
      while ((used.get(at) ?? 0) >= (shared ? 3 : 1)) at = (at + 1) % places.length;
      used.set(at, (used.get(at) ?? 0) + 1);
      return places[at] as { camera: string; from: number; to: number };
    },
  };
}

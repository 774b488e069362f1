import { z } from 'zod';
import { id, name, time } from './scalars';

export const createPerson = z.strictObject({ name, note: z.string().max(2000).default('') });

export const photoStates = ['embedded', 'waiting', 'refused'] as const;

export const photo = z.object({
  id,
  url: z.string(),
  width: z.int(),
  height: z.int(),
  quality: z.number(),
  facePx: z.int(),
  /** What the model pack in use makes of it; a person is searched for by the photos that are embedded. */
  state: z.enum(photoStates),
  /** Why it is refused, or why it still waits after it was tried. */
  refusal: z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) }).nullable(),
  createdAt: time,
});

/** `photosExpiredAt`: when photos of the person were last removed because they were past their time. */
export const person = z.object({
  id,
  name: z.string(),
  note: z.string(),
  photos: z.array(photo),
  photosExpiredAt: time.nullable(),
  createdAt: time,
});
export type Person = z.infer<typeof person>;

/**
 * The model pack that Star embeds photos with, and how far the caller's photos have come with it. After a change they
 * are embedded again in the background; whoever still waits is refused to searches with `person.not_embedded`.
 */
export const packInUse = z.object({
  /** What the tenant's people are embedded and searched with; null until Star's Mizar has been heard for the first time. */
  pack: z
    .object({
      packId: z.string(),
      since: time,
      /** `assigned` to the tenant, or the `installation`'s own. */
      by: z.enum(['assigned', 'installation']),
    })
    .nullable(),
  /** The package assigned to the tenant and what has become of it here; null when none is. */
  assignment: z
    .object({
      packageId: id,
      title: z.string(),
      version: z.string(),
      /** Only when it is `in_use` is `pack` the one that was assigned; until then the last good one is. */
      state: z.enum(['preparing', 'in_use', 'failed']),
      /** Why it failed, or why preparing it takes so long. */
      error: z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) }).nullable(),
    })
    .nullable(),
  photos: z.object({ embedded: z.int(), waiting: z.int(), refused: z.int() }),
  /** People with photos: ready to be searched for, waiting, or with every photo refused. */
  people: z.object({ ready: z.int(), waiting: z.int(), refused: z.int() }),
  /** Why photos are refused, most frequent first. */
  refusals: z.array(z.object({ code: z.string(), photos: z.int() })),
});
export type PackInUse = z.infer<typeof packInUse>;

/**
 * How well the pack in use tells the caller's own people apart. The lists count cosine similarities in steps of a
 * hundredth from -1 to 1: 200 numbers, the last with 1 itself.
 */
export const calibration = z.object({
  packId: z.string(),
  defaultThreshold: z.number(),
  /** Whose embeddings were compared. */
  people: z.int(),
  photos: z.int(),
  /** The library is too large to compare everybody: people chosen evenly stand for it. */
  sampled: z.boolean(),
  /** Pairs of photos of one person. */
  samePerson: z.array(z.int()),
  /** Pairs of photos of two people. */
  differentPeople: z.array(z.int()),
  /** The latest judged matches of searches with this pack. */
  confirmed: z.array(z.int()),
  rejected: z.array(z.int()),
});
export type Calibration = z.infer<typeof calibration>;

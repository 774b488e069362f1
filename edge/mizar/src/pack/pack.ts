import { z } from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** A plain name: a pack never reaches outside its own folder. */
const fileName = z.string().regex(/^[\w][\w.-]{0,127}$/);
const tensorName = z.string().min(1).max(64);
const triple = z.tuple([z.number(), z.number(), z.number()]);
/** Also a key in reports and tables, so it keeps to their alphabet. */
const packId = z.string().regex(/^[\w.:-]{1,64}$/);

const yunetOutputs = z.strictObject({
  cls: z.tuple([tensorName, tensorName, tensorName]),
  obj: z.tuple([tensorName, tensorName, tensorName]),
  bbox: z.tuple([tensorName, tensorName, tensorName]),
  kps: z.tuple([tensorName, tensorName, tensorName]),
});

export const detectorSpec = z.strictObject({
  file: fileName,
  sha256,
  decoder: z.literal('yunet'),
  /** `dynamic`: any multiple of 32, chosen per frame; otherwise always [width, height]. */
  input: z.union([
    z.strictObject({
      dynamic: z.literal(true),
      /** The longest side a small frame is shown at, and the least a large one is reduced to. */
      longestSide: z.int().min(320).max(4096),
      /** A frame is never reduced further than this, however large: a face of minFacePx must stay findable. */
      minScale: z.number().min(0.1).max(1),
    }),
    z.tuple([z.int().min(32).max(4096).multipleOf(32), z.int().min(32).max(4096).multipleOf(32)]),
  ]),
  colour: z.enum(['bgr', 'rgb']),
  /** Pixels are multiplied by this; 1 leaves 0 to 255. */
  scale: z.number().positive(),
  inputName: tensorName,
  outputs: yunetOutputs,
  minScore: z.number().min(0.05).max(0.99),
  nmsIou: z.number().min(0.05).max(0.95),
  /**
   * Side of a second look at each face alone, cut at twice its size, for better landmarks; dynamic inputs only.
   * It changes embeddings, so it belongs to the pack.
   */
  refineInput: z.int().min(64).max(320).multipleOf(32).optional(),
});
export type DetectorSpec = z.infer<typeof detectorSpec>;

export const embedderSpec = z.strictObject({
  file: fileName,
  sha256,
  input: z.literal(112),
  colour: z.enum(['bgr', 'rgb']),
  /** value = (pixel * scale - mean) / std, per channel in the order of `colour`. */
  scale: z.number().positive(),
  mean: triple,
  std: triple.refine((t) => t.every((s) => s > 0)),
  dimension: z.int().min(16).max(2048),
  inputName: tensorName,
  outputName: tensorName,
  /** The embedding is the mean of the face's and its mirror image's. */
  mirror: z.boolean(),
});
export type EmbedderSpec = z.infer<typeof embedderSpec>;

/** A detector, an embedder and what is known of their errors. `pack.json` in the pack's folder. */
export const packSpec = z.strictObject({
  id: packId,
  name: z.string().min(1).max(128),
  version: z.string().min(1).max(32),
  licence: z.string().min(1).max(512),
  source: z.string().min(1).max(1024),
  detector: detectorSpec,
  embedder: embedderSpec,
  /** The smallest face, by the shorter side of its box, that the pack promises to find and tell apart. */
  minFacePx: z.int().min(16).max(512),
  /** Cosine at a false accept rate, by that rate; `default` is what a search uses unless told otherwise. */
  thresholds: z.record(z.string(), z.number().min(0).max(1)).refine((t) => 'default' in t, { path: ['default'], error: 'is missing' }),
});
export type PackSpec = z.infer<typeof packSpec>;

/** A pack whose files were read once and found to be what pack.json says. The bytes that were checked are the bytes used. */
export interface LoadedPack {
  readonly spec: PackSpec;
  readonly detectorModel: SharedArrayBuffer;
  readonly embedderModel: SharedArrayBuffer;
}

export const defaultThreshold = (spec: PackSpec): number => spec.thresholds.default!;

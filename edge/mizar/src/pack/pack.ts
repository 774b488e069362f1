import { createHash } from 'node:crypto';
import { z } from 'zod';

const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256 of the file, in lower-case hex. A file of other bytes is refused.');
/** A plain name: a pack never reaches outside its own folder. */
const fileName = z
  .string()
  .regex(/^[\w][\w.-]{0,127}$/)
  .describe('An ONNX file in the same folder.');
const tensorName = z.string().min(1).max(64);
const colour = z.enum(['bgr', 'rgb']).describe('The order in which the model takes the planes of a picture.');
const triple = z.tuple([z.number(), z.number(), z.number()]);
/** Also a key in reports and tables, so it keeps to their alphabet. */
const packId = z
  .string()
  .regex(/^[\w.:-]{1,64}$/)
  .describe(
    'Names the pack in the index, in searches and at Star. Embeddings of two ids are never compared: whatever changes them needs a new id.',
  );

const yunetOutputs = z
  .strictObject({
    cls: z.tuple([tensorName, tensorName, tensorName]).describe('[1, cells, 1]: how surely a face.'),
    obj: z.tuple([tensorName, tensorName, tensorName]).describe('[1, cells, 1]: how surely an object.'),
    bbox: z.tuple([tensorName, tensorName, tensorName]).describe('[1, cells, 4]: shift of the centre, logarithm of the size.'),
    kps: z
      .tuple([tensorName, tensorName, tensorName])
      .describe('[1, cells, 10]: right eye, left eye, nose, right and left corner of the mouth.'),
  })
  .describe('Names of the output tensors, for strides 8, 16 and 32; cells row by row.');

export const detectorSpec = z.strictObject({
  file: fileName,
  sha256,
  decoder: z.literal('yunet').describe('How outputs become faces; yunet is the only one known.'),
  input: z
    .union([
      z
        .strictObject({
          dynamic: z.literal(true),
          longestSide: z
            .int()
            .min(320)
            .max(4096)
            .describe('The longest side a small frame is shown at, and the least a large one is reduced to.'),
          minScale: z
            .number()
            .min(0.1)
            .max(1)
            .describe('A frame is never reduced further than this, however large: a face of minFacePx must stay findable.'),
        })
        .describe('The model takes any size in multiples of 32; one is chosen per frame.'),
      z
        .tuple([z.int().min(32).max(4096).multipleOf(32), z.int().min(32).max(4096).multipleOf(32)])
        .describe('Always this width and height.'),
    ])
    .describe('Size of the picture shown to the detector: float32 [1, 3, height, width].'),
  colour,
  scale: z.number().positive().describe('Pixels are multiplied by this; 1 leaves 0 to 255.'),
  inputName: tensorName.describe('Name of the one input tensor.'),
  outputs: yunetOutputs,
  minScore: z.number().min(0.05).max(0.99).describe('Detections below this are no faces.'),
  nmsIou: z.number().min(0.05).max(0.95).describe('Of two detections that overlap by more than this, the better one counts.'),
  refineInput: z
    .int()
    .min(64)
    .max(320)
    .multipleOf(32)
    .optional()
    .describe(
      'Side of a second look at each face alone, cut at twice its size, for better landmarks; dynamic inputs only. It changes embeddings, so it belongs to the pack.',
    ),
});
export type DetectorSpec = z.infer<typeof detectorSpec>;

export const embedderSpec = z.strictObject({
  file: fileName,
  sha256,
  input: z.literal(112).describe('Side of the aligned face: float32 [1, 3, 112, 112].'),
  colour,
  scale: z.number().positive().describe('value = (pixel * scale - mean) / std, per channel in the order of colour.'),
  mean: triple.describe('See scale.'),
  std: triple.refine((t) => t.every((s) => s > 0)).describe('See scale; each above 0.'),
  dimension: z.int().min(16).max(2048).describe('Length of the embedding, which is brought to unit length.'),
  inputName: tensorName.describe('Name of the one input tensor.'),
  outputName: tensorName.describe('Name of the tensor with the embedding.'),
  mirror: z.boolean().describe("The embedding is the mean of the face's and its mirror image's."),
});
export type EmbedderSpec = z.infer<typeof embedderSpec>;

/** A detector, an embedder and what is known of their errors. `pack.json` in the pack's folder. */
export const packSpec = z
  .strictObject({
    id: packId,
    name: z.string().min(1).max(128).describe('For people.'),
    version: z.string().min(1).max(32).describe('For people.'),
    licence: z.string().min(1).max(512).describe('Licences of both models, and what they were trained on where that limits their use.'),
    nonCommercial: z
      .boolean()
      .optional()
      .describe('The licence forbids commercial use: the pack is installed only for one who accepts that.'),
    source: z.string().min(1).max(1024).describe('Where the models are from.'),
    detector: detectorSpec.describe('Finds faces in a frame.'),
    embedder: embedderSpec.describe('Turns an aligned face into numbers that are compared.'),
    minFacePx: z
      .int()
      .min(16)
      .max(512)
      .describe('The smallest face, by the shorter side of its box, that the pack promises to find and tell apart.'),
    thresholds: z
      .record(z.string(), z.number().min(0).max(1))
      .refine((t) => 'default' in t, { path: ['default'], error: 'is missing' })
      .meta({
        description: 'Cosine at a false accept rate, by that rate; default is what a search uses unless told otherwise.',
        required: ['default'],
      }),
  })
  .describe('A model pack: a detector, an embedder and what is known of their errors. The file pack.json in its folder.');
export type PackSpec = z.infer<typeof packSpec>;

/** A pack whose files were read once and found to be what pack.json says. The bytes that were checked are the bytes used. */
export interface LoadedPack {
  readonly spec: PackSpec;
  readonly detectorModel: SharedArrayBuffer;
  readonly embedderModel: SharedArrayBuffer;
}

/** Of everything that makes embeddings what they are, whatever order pack.json has it in. */
export function contentSha256({ detector, embedder }: PackSpec): string {
  const sorted = (_: string, value: unknown): unknown =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256')
    .update(JSON.stringify([detector, embedder], sorted))
    .digest('hex');
}

export const defaultThreshold = (spec: PackSpec): number => spec.thresholds.default!;

/** For editors and other programs: docs/reference/pack.schema.json. What it cannot say (each std above 0) is said in words. */
export const packJsonSchema = (): Record<string, unknown> => ({ ...z.toJSONSchema(packSpec, { io: 'input' }), title: 'pack.json' });

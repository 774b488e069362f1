import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { yunetStrides } from '../faces/yunet';
import { mizarErrors } from '../mizar.errors';
import type { DetectorSpec, EmbedderSpec, PackSpec } from './pack';

/**
 * Small, and neither square nor a size that models are made for: one that turns width and height round, or takes one
 * size only, does not get through.
 */
const DYNAMIC_SIZE = [96, 64] as const;
const perCell = { cls: 1, obj: 1, bbox: 4, kps: 10 } satisfies Record<keyof DetectorSpec['outputs'], number>;

/**
 * Holds both models against what the pack says of them: names, types and shapes of inputs and outputs, by the sessions'
 * own metadata and by running each once on black. What is wrong shows here and not in the middle of a night's footage.
 * Throws `pack.invalid` with the field.
 */
export async function checkTensors(detector: InferenceSession, embedder: InferenceSession, spec: PackSpec): Promise<void> {
  await checkDetector(detector, spec.detector);
  await checkEmbedder(embedder, spec.embedder);
}

async function checkDetector(session: InferenceSession, spec: DetectorSpec): Promise<void> {
  const [width, height] = Array.isArray(spec.input) ? spec.input : DYNAMIC_SIZE;
  const side = (px: number): number | undefined => (Array.isArray(spec.input) ? px : undefined);
  requireInput(session, spec.inputName, [1, 3, side(height), side(width)], 'detector');
  const parts = Object.entries(spec.outputs) as [keyof DetectorSpec['outputs'], readonly string[]][];
  const outputs = parts.flatMap(([part, names]) => names.map((name, i) => ({ name, part, i, field: `detector.outputs.${part}.${i}` })));
  for (const { name, field } of outputs) requireThat(session.outputNames.includes(name), field);
  const answer = await runOnBlack(session, spec.inputName, [1, 3, height, width], 'detector.input');
  for (const { name, part, i, field } of outputs) {
    const cells = (width / yunetStrides[i]!) * (height / yunetStrides[i]!);
    const tensor = floats(answer[name], cells * perCell[part], field);
    // Of the same length with the values of a cell apart is another decoder's.
    requireThat(perCell[part] === 1 || tensor.dims.at(-1) === perCell[part], field);
  }
}

async function checkEmbedder(session: InferenceSession, spec: EmbedderSpec): Promise<void> {
  requireInput(session, spec.inputName, [1, 3, spec.input, spec.input], 'embedder');
  requireThat(session.outputNames.includes(spec.outputName), 'embedder.outputName');
  const answer = await runOnBlack(session, spec.inputName, [1, 3, spec.input, spec.input], 'embedder.input');
  floats(answer[spec.outputName], spec.dimension, 'embedder.dimension');
}

/** One input of that name, of float32, which takes this shape; undefined is a side that must be free. */
function requireInput(
  session: InferenceSession,
  name: string,
  shape: readonly (number | undefined)[],
  part: 'detector' | 'embedder',
): void {
  // A model that wants more than a picture cannot be run with one.
  requireThat(session.inputNames.length === 1 && session.inputNames[0] === name, `${part}.inputName`);
  const input = session.inputMetadata[0];
  if (!input?.isTensor) throw mizarErrors.packInvalid(`${part}.input`);
  const fits = (dimension: number | string | undefined, i: number): boolean =>
    // Free sides have a name, an empty one or -1.
    typeof dimension === 'number' && dimension > 0 ? dimension === shape[i] : true;
  requireThat(input.type === 'float32' && input.shape.length === shape.length && input.shape.every(fits), `${part}.input`);
}

async function runOnBlack(
  session: InferenceSession,
  name: string,
  shape: readonly number[],
  field: string,
): Promise<InferenceSession.ReturnType> {
  const black = new Float32Array(shape.reduce((product, side) => product * side, 1));
  try {
    return await session.run({ [name]: new Tensor('float32', black, shape) });
  } catch (error) {
    throw mizarErrors.packInvalid(field, error);
  }
}

/** A model that answers black with NaN would find nobody and never say why. */
function floats(value: unknown, length: number, field: string): Tensor {
  if (!(value instanceof Tensor) || !(value.data instanceof Float32Array)) throw mizarErrors.packInvalid(field);
  requireThat(value.data.length === length && value.data.every(Number.isFinite), field);
  return value;
}

function requireThat(holds: boolean, field: string): void {
  if (!holds) throw mizarErrors.packInvalid(field);
}

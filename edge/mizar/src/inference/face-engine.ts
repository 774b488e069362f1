import { InferenceSession, Tensor } from 'onnxruntime-node';
import { fitSimilarity, invertSimilarity, template112 } from '../faces/align';
import { letterbox } from '../faces/letterbox';
import type { Picture } from '../faces/picture';
import { quality } from '../faces/quality';
import { type Detection, decodeYunet, scaleDetection, suppress, type YunetMaps, yunetStrides } from '../faces/yunet';
import { mizarErrors } from '../mizar.errors';
import type { DetectorSpec, LoadedPack, PackSpec } from '../pack/pack';

/** More faces than this in one frame are a pattern the detector takes for faces, or a stadium. */
const MAX_FACES = 256;
const SIDE = 112;

export interface EmbeddedFace {
  /** Unit length. */
  readonly embedding: Float32Array;
  readonly quality: number;
  /** The 112 x 112 face as the embedder saw it, RGB, 0 to 255. */
  readonly aligned: Float32Array;
}

// One thread a session: boxes run one worker per core, and two pools of threads on one core only take turns.
const sessionOptions: InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
};

/** Detector and embedder of one pack, for one thread. `run` blocks the thread. */
export class FaceEngine {
  private input = new Float32Array(0);
  private inputKey = '';
  private readonly face: Float32Array;

  private constructor(
    readonly spec: PackSpec,
    private readonly detector: InferenceSession,
    private readonly embedder: InferenceSession,
  ) {
    this.face = new Float32Array(3 * SIDE * SIDE);
  }

  /** Throws `pack.invalid` naming the field when a model is not one, or its tensors are not those the pack names. */
  static async open({ spec, detectorModel, embedderModel }: LoadedPack): Promise<FaceEngine> {
    const detector = await openModel('detector', detectorModel);
    const embedder = await openModel('embedder', embedderModel);
    const engine = new FaceEngine(spec, detector, embedder);
    requireName(detector.inputNames, spec.detector.inputName, 'detector.inputName');
    for (const [part, names] of Object.entries(spec.detector.outputs)) {
      names.forEach((name, i) => requireName(detector.outputNames, name, `detector.outputs.${part}.${i}`));
    }
    requireName(embedder.inputNames, spec.embedder.inputName, 'embedder.inputName');
    requireName(embedder.outputNames, spec.embedder.outputName, 'embedder.outputName');
    await engine.tryOut();
    return engine;
  }

  /** Runs both once on black: wrong shapes show here, not in the middle of a night's footage. */
  private async tryOut(): Promise<void> {
    const black: Picture = { width: 320, height: 320, reduce: () => {}, warp: () => new Float32Array(0), cut: () => new Uint8Array(0) };
    await this.detect(black);
    await this.runEmbedder();
  }

  /** Faces in pixels of the picture, best first. `input` overrides the pack's rule, for photos that are looked at in several sizes. */
  async detect(picture: Picture, input: DetectorSpec['input'] = this.spec.detector.input): Promise<Detection[]> {
    const { detector: spec } = this.spec;
    const box = letterbox(picture.width, picture.height, input);
    const area = box.inputWidth * box.inputHeight;
    const key = `${box.inputWidth}x${box.inputHeight}/${box.usedWidth}x${box.usedHeight}`;
    // Padding stays black only as long as the same part of the buffer is overwritten.
    if (key !== this.inputKey) {
      if (this.input.length !== area * 3) this.input = new Float32Array(area * 3);
      else this.input.fill(0);
      this.inputKey = key;
    }
    const plane = (i: number): Float32Array => this.input.subarray(i * area, (i + 1) * area);
    picture.reduce(box, spec.colour === 'bgr' ? [plane(2), plane(1), plane(0)] : [plane(0), plane(1), plane(2)]);
    if (spec.scale !== 1) for (let i = 0; i < this.input.length; i++) this.input[i]! *= spec.scale;
    const feeds = { [spec.inputName]: new Tensor('float32', this.input, [1, 3, box.inputHeight, box.inputWidth]) };
    const answer = await run(this.detector, feeds, 'detector.input');
    const maps = yunetStrides.map((stride, i): YunetMaps => {
      const [columns, rows] = [box.inputWidth / stride, box.inputHeight / stride];
      const data = (part: keyof DetectorSpec['outputs'], perCell: number) =>
        tensorData(answer[spec.outputs[part][i]!], columns * rows * perCell, `detector.outputs.${part}.${i}`);
      return { stride, columns, rows, cls: data('cls', 1), obj: data('obj', 1), bbox: data('bbox', 4), kps: data('kps', 10) };
    });
    return suppress(decodeYunet(maps, spec.minScore), spec.nmsIou, MAX_FACES).map((d) => scaleDetection(d, 1 / box.scale));
  }

  /** Aligns from the full picture, whatever size the detector saw, and embeds. */
  async embed(picture: Picture, face: Detection): Promise<EmbeddedFace> {
    const toPicture = invertSimilarity(fitSimilarity(face.landmarks, template112));
    const aligned = picture.warp(toPicture, SIDE);
    const { colour, scale, mean, std } = this.spec.embedder;
    for (let c = 0; c < 3; c++) {
      const from = colour === 'rgb' ? c : 2 - c;
      const [factor, shift] = [scale / std[c]!, mean[c]! / std[c]!];
      for (let i = 0; i < SIDE * SIDE; i++) this.face[c * SIDE * SIDE + i] = aligned[i * 3 + from]! * factor - shift;
    }
    const embedding = await this.runEmbedder();
    normalise(embedding);
    return { embedding, aligned, quality: quality(face, aligned, SIDE) };
  }

  private async runEmbedder(): Promise<Float32Array> {
    const { inputName, outputName, dimension } = this.spec.embedder;
    const answer = await run(this.embedder, { [inputName]: new Tensor('float32', this.face, [1, 3, SIDE, SIDE]) }, 'embedder.input');
    return tensorData(answer[outputName], dimension, 'embedder.dimension').slice();
  }

  async close(): Promise<void> {
    await this.detector.release();
    await this.embedder.release();
  }
}

async function openModel(part: string, model: SharedArrayBuffer): Promise<InferenceSession> {
  try {
    // The runtime copies while it parses; a plain array, because it does not take shared memory.
    return await InferenceSession.create(new Uint8Array(model).slice(), sessionOptions);
  } catch (error) {
    throw mizarErrors.packInvalid(`${part}.file`, error);
  }
}

function requireName(names: readonly string[], name: string, field: string): void {
  if (!names.includes(name)) throw mizarErrors.packInvalid(field);
}

async function run(session: InferenceSession, feeds: InferenceSession.FeedsType, field: string): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds);
  } catch (error) {
    throw mizarErrors.packInvalid(field, error);
  }
}

function tensorData(value: unknown, length: number, field: string): Float32Array {
  if (!(value instanceof Tensor) || !(value.data instanceof Float32Array) || value.data.length !== length)
    throw mizarErrors.packInvalid(field);
  return value.data;
}

/** To unit length, in place. A zero vector, or one with NaN, becomes zeros and so matches nobody. */
export function normalise(v: Float32Array): void {
  let sum = 0;
  for (const x of v) sum += x * x;
  const by = sum > 0 && Number.isFinite(sum) ? 1 / Math.sqrt(sum) : 0;
  for (let i = 0; i < v.length; i++) v[i] = by === 0 ? 0 : v[i]! * by;
}

/** Whether a face's box is large enough, by its shorter side. */
export const facePx = (face: Pick<Detection, 'width' | 'height'>): number => Math.min(face.width, face.height);

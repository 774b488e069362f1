import { InferenceSession, Tensor } from 'onnxruntime-node';
import { fitSimilarity, invertSimilarity, template112 } from '../faces/align';
import { letterbox } from '../faces/letterbox';
import type { Picture } from '../faces/picture';
import { quality } from '../faces/quality';
import { type Detection, decodeYunet, scaleDetection, suppress, type YunetMaps, yunetStrides } from '../faces/yunet';
import { mizarErrors } from '../mizar.errors';
import { checkTensors } from '../pack/check-tensors';
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
    await checkTensors(detector, embedder, spec);
    return new FaceEngine(spec, detector, embedder);
  }

  /** Faces in pixels of the picture, best first. `input` overrides the pack's rule, for photos that are looked at in several sizes. */
  async detect(picture: Picture, input: DetectorSpec['input'] = this.spec.detector.input): Promise<Detection[]> {
    const box = letterbox(picture.width, picture.height, input);
    const area = box.inputWidth * box.inputHeight;
    const key = `${box.inputWidth}x${box.inputHeight}/${box.usedWidth}x${box.usedHeight}`;
    // Padding stays black only as long as the same part of the buffer is overwritten.
    if (key !== this.inputKey) {
      if (this.input.length !== area * 3) this.input = new Float32Array(area * 3);
      else this.input.fill(0);
      this.inputKey = key;
    }
    picture.reduce(box, this.planes(this.input, area));
    const found = await this.runDetector(this.input, box.inputWidth, box.inputHeight);
    return found.map((d) => scaleDetection(d, 1 / box.scale));
  }

  /**
   * The same face with landmarks from a closer look. Small faces gain most: at one half, the eyes of a 48 px face are
   * 10 pixels apart, and an error of one pixel there costs 0.05 of cosine.
   */
  async refine(picture: Picture, face: Detection): Promise<Detection> {
    const side = this.spec.detector.refineInput;
    if (side === undefined || Array.isArray(this.spec.detector.input)) return face;
    const shown = 2 * Math.max(face.width, face.height);
    const a = shown / side;
    const [left, top] = [face.x + face.width / 2 - shown / 2, face.y + face.height / 2 - shown / 2];
    const rgb = picture.warp({ a, b: 0, tx: left + a / 2 - 0.5, ty: top + a / 2 - 0.5 }, side);
    const area = side * side;
    const input = new Float32Array(area * 3);
    const planes = this.planes(input, area);
    for (let c = 0; c < 3; c++) for (let i = 0; i < area; i++) planes[c]![i] = rgb[i * 3 + c]!;
    const centred = (await this.runDetector(input, side, side)).find(
      (d) => Math.hypot(d.x + d.width / 2 - side / 2, d.y + d.height / 2 - side / 2) < side / 6,
    );
    return centred ? { ...face, landmarks: centred.landmarks.map((v, i) => v * a + (i % 2 === 0 ? left : top)) } : face;
  }

  private planes(input: Float32Array, area: number): [Float32Array, Float32Array, Float32Array] {
    const plane = (i: number): Float32Array => input.subarray(i * area, (i + 1) * area);
    return this.spec.detector.colour === 'bgr' ? [plane(2), plane(1), plane(0)] : [plane(0), plane(1), plane(2)];
  }

  private async runDetector(input: Float32Array, width: number, height: number): Promise<Detection[]> {
    const { detector: spec } = this.spec;
    if (spec.scale !== 1) for (let i = 0; i < input.length; i++) input[i]! *= spec.scale;
    const answer = await run(this.detector, { [spec.inputName]: new Tensor('float32', input, [1, 3, height, width]) }, 'detector.input');
    const maps = yunetStrides.map((stride, i): YunetMaps => {
      const [columns, rows] = [width / stride, height / stride];
      const data = (part: keyof DetectorSpec['outputs'], perCell: number) =>
        tensorData(answer[spec.outputs[part][i]!], columns * rows * perCell, `detector.outputs.${part}.${i}`);
      return { stride, columns, rows, cls: data('cls', 1), obj: data('obj', 1), bbox: data('bbox', 4), kps: data('kps', 10) };
    });
    return suppress(decodeYunet(maps, spec.minScore), spec.nmsIou, MAX_FACES);
  }

  /** Aligns from the full picture, whatever size the detector saw, and embeds. */
  async embed(picture: Picture, face: Detection): Promise<EmbeddedFace> {
    const aligned = picture.warp(invertSimilarity(fitSimilarity(face.landmarks, template112)), SIDE);
    this.showFace(aligned, false);
    const embedding = await this.runEmbedder();
    normalise(embedding);
    if (this.spec.embedder.mirror) {
      this.showFace(aligned, true);
      const mirrored = await this.runEmbedder();
      normalise(mirrored);
      for (let i = 0; i < embedding.length; i++) embedding[i]! += mirrored[i]!;
      normalise(embedding);
    }
    return { embedding, aligned, quality: quality(face, aligned, SIDE) };
  }

  /** Fills the embedder's input. */
  private showFace(aligned: Float32Array, mirrored: boolean): void {
    const { colour, scale, mean, std } = this.spec.embedder;
    for (let c = 0; c < 3; c++) {
      const from = colour === 'rgb' ? c : 2 - c;
      const [factor, shift] = [scale / std[c]!, mean[c]! / std[c]!];
      for (let y = 0; y < SIDE; y++) {
        const to = (c * SIDE + y) * SIDE;
        for (let x = 0; x < SIDE; x++) this.face[to + x] = aligned[(y * SIDE + (mirrored ? SIDE - 1 - x : x)) * 3 + from]! * factor - shift;
      }
    }
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

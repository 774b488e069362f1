import { parentPort, workerData } from 'node:worker_threads';
import { AgentError } from '@dipper/platform';
import sharp from 'sharp';
import { alignedJpeg, cropJpeg } from '../faces/crop';
import { RgbPhoto } from '../faces/rgb-photo';
import { type Detection, suppress } from '../faces/yunet';
import { YuvFrame } from '../faces/yuv-frame';
import { FaceEngine, facePx } from './face-engine';
import type { FaceBox, FoundFace, FrameAnswer, FrameJob, JobAnswer, PhotoAnswer, PhotoJob, WorkerHello, WorkerSetup } from './messages';

/**
 * A face measured a little under the promised size may be one of that size: the detector's boxes of 48 px faces
 * measure 44 to 52. So the index keeps down to this part of minFacePx.
 */
const BOX_ERROR = 0.85;
/** YuNet was trained on faces of 10 to 300 px of a 640 px picture: portraits need the small sizes, group photos the large. */
const PHOTO_SIZES = [640, 320, 1280] as const;
/** Of a photo, faces below this part of the largest are bystanders. */
const BYSTANDER = 0.35;

sharp.concurrency(1);

const boxOf = (d: Detection): FaceBox => [d.x, d.y, d.width, d.height];

async function analyseFrame(engine: FaceEngine, job: FrameJob): Promise<FrameAnswer> {
  const frame = new YuvFrame(new Uint8Array(job.pixels), job.width, job.height, job.colour);
  const started = performance.now();
  const least = engine.spec.minFacePx * BOX_ERROR;
  const detections = (await engine.detect(frame)).filter((d) => facePx(d) >= least);
  const detected = performance.now();
  const faces: FoundFace[] = [];
  for (const found of detections) {
    const d = await engine.refine(frame, found);
    const { embedding, quality } = await engine.embed(frame, d);
    faces.push({ box: boxOf(d), score: d.score, quality, embedding: own(embedding), crop: await cropJpeg(frame, d) });
  }
  return { faces, detectMs: detected - started, embedMs: performance.now() - detected };
}

async function analysePhoto(engine: FaceEngine, job: PhotoJob): Promise<PhotoAnswer> {
  const photo = RgbPhoto.fromInterleaved(job.pixels, job.width, job.height);
  const found: Detection[] = [];
  const rule = engine.spec.detector.input;
  if (Array.isArray(rule)) found.push(...(await engine.detect(photo)));
  else {
    for (const longestSide of PHOTO_SIZES) {
      found.push(...(await engine.detect(photo, { dynamic: true, longestSide, minScale: 0.001 })));
    }
  }
  const faces = suppress(found, engine.spec.detector.nmsIou, 64).sort((a, b) => facePx(b) - facePx(a));
  const largest = faces[0];
  const shown = largest ? faces.filter((f) => facePx(f) >= facePx(largest) * BYSTANDER) : [];
  const boxes = shown.map(boxOf);
  if (!largest || shown.length !== 1 || facePx(largest) < engine.spec.minFacePx) return { boxes };
  const { embedding, quality, aligned } = await engine.embed(photo, largest);
  return {
    boxes,
    face: { box: boxOf(largest), score: largest.score, quality, embedding: own(embedding), crop: await alignedJpeg(aligned, 112) },
  };
}

/** A copy that owns its memory and so can be transferred. */
const own = (v: Float32Array): Float32Array<ArrayBuffer> => new Float32Array(v);

function describe(error: unknown): { code: string; kind: string; params: Record<string, unknown>; detail: string } {
  if (error instanceof AgentError)
    return { code: error.code, kind: error.kind, params: { ...error.params }, detail: String(error.cause ?? '') };
  return {
    code: 'inference.failed',
    kind: 'internal',
    params: {},
    detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

async function main(port: NonNullable<typeof parentPort>): Promise<void> {
  const { pack } = workerData as WorkerSetup;
  let engine: FaceEngine;
  try {
    engine = await FaceEngine.open(pack);
  } catch (error) {
    port.postMessage({ ready: false, error: describe(error) } satisfies WorkerHello);
    return;
  }
  // The pool gives one job at a time.
  port.on('message', (job: FrameJob | PhotoJob) => {
    (job.kind === 'frame' ? analyseFrame(engine, job) : analysePhoto(engine, job)).then(
      (answer) => {
        const faces = 'faces' in answer ? answer.faces : answer.face ? [answer.face] : [];
        port.postMessage(
          { id: job.id, ok: true, answer } satisfies JobAnswer,
          faces.flatMap((f) => [f.embedding.buffer, f.crop.buffer]),
        );
      },
      (error: unknown) => port.postMessage({ id: job.id, ok: false, error: describe(error) } satisfies JobAnswer),
    );
  });
  port.postMessage({ ready: true } satisfies WorkerHello);
}

if (parentPort) void main(parentPort);

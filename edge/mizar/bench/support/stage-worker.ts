/** One stage alone, on as many threads as the pipeline has: what a thread does per second when it does nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Detection } from '../../dist/faces/yunet.js';
import { type YuvColour, YuvFrame } from '../../dist/faces/yuv-frame.js';
import { FaceEngine } from '../../dist/inference/face-engine.js';
import type { LoadedPack } from '../../dist/pack/pack.js';

export interface StageFrames {
  readonly pack: LoadedPack;
  readonly frames: readonly SharedArrayBuffer[];
  readonly width: number;
  readonly height: number;
  readonly colour: YuvColour;
}

const { pack, frames, width, height, colour } = workerData as StageFrames;
const engine = await FaceEngine.open(pack);
const pictures = frames.map((f) => new YuvFrame(new Uint8Array(f), width, height, colour));
const faces: { picture: YuvFrame; face: Detection }[] = [];
for (const picture of pictures) for (const face of await engine.detect(picture)) faces.push({ picture, face });

/** Runs for about `seconds` and answers how many it did, and how long that took. */
async function measure(stage: 'detect' | 'embed', seconds: number): Promise<{ done: number; ms: number }> {
  const began = performance.now();
  let done = 0;
  while (performance.now() - began < seconds * 1000) {
    if (stage === 'detect') await engine.detect(pictures[done % pictures.length]!);
    else {
      const { picture, face } = faces[done % faces.length]!;
      await engine.embed(picture, await engine.refine(picture, face));
    }
    done++;
  }
  return { done, ms: performance.now() - began };
}

parentPort!.on('message', ({ stage, seconds }: { stage: 'detect' | 'embed'; seconds: number }) => {
  void measure(stage, seconds).then((answer) => parentPort!.postMessage(answer));
});
parentPort!.postMessage({ facesPerFrame: faces.length / pictures.length });

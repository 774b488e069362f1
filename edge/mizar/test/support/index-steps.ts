import type { IndexedSegment } from '../../src/index-store/face-index.store';
import { syntheticSegment } from './synthetic';

export const facesPerSegment = 5;
const cameras = ['cam-1', 'cam-2'];
/** So close to the end of a day that each camera soon gets the files of a second one. */
const firstMinute = 1_437;

export interface IndexStep {
  readonly cameraId: string;
  readonly minute: number;
  /** Tells what is looked at again from what was there before. */
  readonly version: number;
}

/** What is indexed as number `n`: the next minute of either camera in turn; every fifth time an earlier minute once more. */
export function stepNumber(n: number): IndexStep {
  const again = n % 5 === 4;
  const turn = n - Math.floor(n / 5) - (again ? 3 : 0);
  const cameraId = cameras[turn % cameras.length] as string;
  return { cameraId, minute: firstMinute + Math.floor(turn / cameras.length), version: again ? n : 0 };
}

/** Every seventh minute nobody is seen. */
export function segmentOf({ cameraId, minute, version }: IndexStep): IndexedSegment {
  return syntheticSegment(cameraId, minute, minute % 7 === 0 ? 0 : facesPerSegment, version);
}

/** What the index must hold after so many steps: the newest version of each minute of a camera. */
export function heldAfter(steps: number, cameraId: string): Map<number, IndexStep> {
  const held = new Map<number, IndexStep>();
  for (let n = 0; n < steps; n++) {
    const step = stepNumber(n);
    if (step.cameraId === cameraId) held.set(step.minute, step);
  }
  return held;
}

import type { DetectorSpec } from '../pack/pack';

/** How a frame is shown to the detector: reduced by `scale`, at the top left of an input that is padded with black. */
export interface Letterbox {
  readonly scale: number;
  readonly inputWidth: number;
  readonly inputHeight: number;
  /** The part of the input that holds picture. */
  readonly usedWidth: number;
  readonly usedHeight: number;
}

const upTo32 = (n: number): number => Math.max(32, Math.ceil(n / 32) * 32);

/**
 * Aspect ratio is kept and the picture is never enlarged. Padding lies right and below only, so a point of the
 * input is a point of the frame times `scale`, and both ways are exact to a rounding of the last bit.
 */
export function letterbox(width: number, height: number, input: DetectorSpec['input']): Letterbox {
  const longest = Math.max(width, height);
  const scale = Array.isArray(input)
    ? Math.min(1, input[0] / width, input[1] / height)
    : Math.min(1, Math.max(input.minScale, input.longestSide / longest));
  const usedWidth = Math.max(1, Math.round(width * scale));
  const usedHeight = Math.max(1, Math.round(height * scale));
  return {
    scale,
    usedWidth,
    usedHeight,
    inputWidth: Array.isArray(input) ? input[0] : upTo32(usedWidth),
    inputHeight: Array.isArray(input) ? input[1] : upTo32(usedHeight),
  };
}

export const toInput = (box: Letterbox, at: number): number => at * box.scale;
export const toFrame = (box: Letterbox, at: number): number => at / box.scale;

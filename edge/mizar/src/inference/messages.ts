import type { YuvColour } from '../faces/yuv-frame';
import type { LoadedPack } from '../pack/pack';

/** What the pool and its worker threads say to each other. */
export interface WorkerSetup {
  readonly pack: LoadedPack;
}

export interface FrameJob {
  readonly kind: 'frame';
  readonly id: number;
  /** Shared, not copied; the worker only reads, the owner does not touch it until the answer. */
  readonly pixels: SharedArrayBuffer;
  readonly width: number;
  readonly height: number;
  readonly colour: YuvColour;
}

export interface PhotoJob {
  readonly kind: 'photo';
  readonly id: number;
  /** Interleaved RGB; copied. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

/** x, y, width, height in pixels of the frame. */
export type FaceBox = readonly [number, number, number, number];

export interface FoundFace {
  readonly box: FaceBox;
  readonly score: number;
  readonly quality: number;
  readonly embedding: Float32Array<ArrayBuffer>;
  /** JPEG: from a frame the face with its surroundings, from a photo the aligned face. */
  readonly crop: Uint8Array<ArrayBuffer>;
}

export interface FrameAnswer {
  readonly faces: readonly FoundFace[];
  readonly detectMs: number;
  readonly embedMs: number;
}

/** Every face of a photo by size of its box; only a photo with one usable face is embedded. */
export interface PhotoAnswer {
  readonly boxes: readonly FaceBox[];
  readonly face?: FoundFace;
}

export type JobAnswer =
  | { readonly id: number; readonly ok: true; readonly answer: FrameAnswer | PhotoAnswer }
  | {
      readonly id: number;
      readonly ok: false;
      readonly error: { code: string; kind: string; params: Record<string, unknown>; detail: string };
    };

export type WorkerHello =
  | { readonly ready: true }
  | { readonly ready: false; readonly error: { code: string; kind: string; params: Record<string, unknown>; detail: string } };

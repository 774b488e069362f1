import { mizarErrors } from '../mizar.errors';

/** Memory for one decoded frame, used again and again. */
export interface FrameSlot {
  readonly pixels: SharedArrayBuffer;
  readonly bytes: Uint8Array;
}

/**
 * A fixed number of frames may be in memory, over all segments being decoded. Who wants another waits, and so does
 * its ffmpeg: that is the whole back-pressure of the pipeline.
 */
export class FrameSlots {
  private readonly free: FrameSlot[] = [];
  private readonly waiting: { bytes: number; give: (slot: FrameSlot) => void }[] = [];
  private taken = 0;

  constructor(readonly count: number) {}

  /** Waits for a slot of exactly `bytes`. Throws `mizar.cancelled` when the signal aborts first. */
  async take(bytes: number, signal: AbortSignal): Promise<FrameSlot> {
    if (signal.aborted) throw mizarErrors.cancelled();
    if (this.taken < this.count) return this.allot(bytes);
    return new Promise((resolve, reject) => {
      const give = (slot: FrameSlot): void => {
        signal.removeEventListener('abort', leave);
        resolve(slot);
      };
      const entry = { bytes, give };
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(mizarErrors.cancelled());
      };
      signal.addEventListener('abort', leave, { once: true });
      this.waiting.push(entry);
    });
  }

  private allot(bytes: number): FrameSlot {
    this.taken++;
    const at = this.free.findIndex((slot) => slot.bytes.length === bytes);
    if (at >= 0) return this.free.splice(at, 1)[0]!;
    // Another size: let an old one go, so that slots never hold more than `count` frames.
    if (this.free.length + this.taken > this.count) this.free.shift();
    const pixels = new SharedArrayBuffer(bytes);
    return { pixels, bytes: new Uint8Array(pixels) };
  }

  give(slot: FrameSlot): void {
    this.taken--;
    this.free.push(slot);
    const next = this.waiting.shift();
    if (next) next.give(this.allot(next.bytes));
  }
}

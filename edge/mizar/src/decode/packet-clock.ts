import { mizarErrors } from '../mizar.errors';

export interface SegmentTimes {
  /** The first moment of video in the file's own time, microseconds: this is the segment's `from`. */
  readonly originUs: number;
  /** From the origin to the end of the last packet. */
  readonly durationMs: number;
  /** The widest distance between keyframes, and from the last to the end. */
  readonly keyframeGapMs: number;
  readonly frameMs: number;
  readonly keyframes: number;
}

const DEFAULT_FRAME_MS = 40;

/** Learns from packet after packet, in the order of the file, in memory that does not grow. */
export class PacketClock {
  private first = Number.POSITIVE_INFINITY;
  private last = Number.NEGATIVE_INFINITY;
  private lastDuration = 0;
  private lastKey = Number.NaN;
  private widest = 0;
  private keyframes = 0;
  private packets = 0;
  /** Decoding time of the packet before, read or inferred. */
  private cursor = Number.NaN;

  packet(fields: Readonly<Record<string, string>>): void {
    this.packets++;
    // A program stream stamps only the first packet of a frame, and some recorders only keyframes.
    const duration = Number(fields.duration ?? Number.NaN);
    if (Number.isFinite(duration)) this.lastDuration = duration;
    const pts = Number(fields.pts ?? Number.NaN);
    const dts = Number(fields.dts ?? Number.NaN);
    const stamped = Number.isFinite(pts) ? pts : dts;
    // Small frames share a PES packet and its one stamp; the unstamped follow it a frame apart. Without that the
    // quiet end of a file, where they are many, would seem to be missing.
    const at = Number.isFinite(stamped) ? stamped : this.cursor + this.lastDuration;
    if (!Number.isFinite(at)) return;
    this.cursor = Number.isFinite(dts) ? dts : at;
    this.first = Math.min(this.first, at);
    this.last = Math.max(this.last, at);
    if (!fields.flags?.startsWith('K')) return;
    this.keyframes++;
    if (Number.isFinite(this.lastKey)) this.widest = Math.max(this.widest, at - this.lastKey);
    this.lastKey = at;
  }

  /** `timeBase` and `frameRate` are fractions as ffprobe writes them. Throws `segment.corrupt` when there was no time at all. */
  times(timeBase: string, frameRate: string): SegmentTimes {
    const unitUs = fraction(timeBase) * 1e6;
    if (this.packets === 0 || !Number.isFinite(this.first) || !(unitUs > 0)) throw mizarErrors.segmentCorrupt();
    const rate = fraction(frameRate);
    const frameMs = this.lastDuration > 0 ? (this.lastDuration * unitUs) / 1000 : rate > 0 && rate <= 240 ? 1000 / rate : DEFAULT_FRAME_MS;
    const durationMs = ((this.last - this.first) * unitUs) / 1000 + frameMs;
    const tail = Number.isFinite(this.lastKey) ? this.last - this.lastKey : this.last - this.first;
    return {
      originUs: this.first * unitUs,
      durationMs: Math.round(durationMs),
      keyframeGapMs: Math.round((Math.max(this.widest, tail) * unitUs) / 1000),
      frameMs,
      keyframes: this.keyframes,
    };
  }
}

function fraction(text: string): number {
  const [over = 0, under = 0] = text.split('/').map(Number);
  return under > 0 ? over / under : 0;
}

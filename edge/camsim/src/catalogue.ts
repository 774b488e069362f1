import { readFileSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { z } from 'zod';

/** Where a file lies, relative to the footage folder; it never leads out of it. */
const footageFile = z
  .string()
  .min(1)
  .max(512)
  .refine((path) => !isAbsolute(path) && !normalize(path).startsWith('..'), { error: 'must stay inside the footage folder' });

/** One stretch of footage. Times are Unix ms UTC, `from` inclusive, `to` exclusive: where the pictures of the file really lie. */
export const catalogueSegment = z
  .strictObject({
    from: z.int().nonnegative(),
    to: z.int().nonnegative(),
    /** MPEG-PS, relative to the footage folder. Several segments may share one file. */
    file: footageFile,
    codec: z.enum(['h264', 'hevc']),
    /** The end the recorder claims in its listing, where it is not `to`: a clip shorter than promised. */
    listedTo: z.int().nonnegative().optional(),
  })
  .refine((s) => s.from < s.to, { error: 'from must be before to' });
export type CatalogueSegment = z.infer<typeof catalogueSegment>;

/** Segments by arithmetic, all of one file: a recorder with millions of them costs no memory. */
export const virtualSegments = z
  .strictObject({
    from: z.int().nonnegative(),
    count: z.int().min(1).max(10_000_000),
    segmentMs: z.int().min(1000),
    gapMs: z.int().nonnegative().default(0),
    file: footageFile,
    codec: z.enum(['h264', 'hevc']),
  })
  .describe('segment n covers [from + n * (segmentMs + gapMs), that + segmentMs)');
export type VirtualSegments = z.infer<typeof virtualSegments>;

export const catalogueChannel = z.strictObject({
  channel: z.int().min(1).max(256),
  name: z.string().max(64),
  online: z.boolean().default(true),
  /** Oldest first; they may overlap or leave gaps. */
  segments: z.array(catalogueSegment).default([]),
  virtual: virtualSegments.optional(),
});
export type CatalogueChannel = z.infer<typeof catalogueChannel>;

/** `catalogue.json` of a footage folder: what one recorder has. */
export const catalogue = z.strictObject({ channels: z.array(catalogueChannel).max(256) });
export type Catalogue = z.infer<typeof catalogue>;
/** As it is written, before defaults: what a program that renders footage produces. */
export type CatalogueInput = z.input<typeof catalogue>;

/** Reads and checks `<footageDir>/catalogue.json`; throws what is wrong with it. */
export function readCatalogue(footageDir: string): Catalogue {
  return catalogue.parse(JSON.parse(readFileSync(join(footageDir, 'catalogue.json'), 'utf8')));
}

/** What a channel has between two moments (overlapping is enough), oldest first, as a slice that is cheap for virtual channels. */
export interface SegmentRange {
  readonly count: number;
  at(index: number): CatalogueSegment | undefined;
}

/** The segments of a channel that overlap [fromMs, toMs), by the times the recorder would list. */
export function segmentsBetween(channel: CatalogueChannel, fromMs: number, toMs: number): SegmentRange {
  const listed = channel.segments.filter((s) => s.from < toMs && (s.listedTo ?? s.to) > fromMs).sort((a, b) => a.from - b.from);
  const v = channel.virtual;
  if (!v) return { count: listed.length, at: (index) => listed[index] };
  const step = v.segmentMs + v.gapMs;
  const first = Math.max(0, Math.floor((fromMs - v.from - v.segmentMs) / step) + 1);
  const end = Math.min(v.count, Math.ceil((toMs - v.from) / step));
  const virtualCount = Math.max(0, end - first);
  return {
    count: listed.length + virtualCount,
    at: (index) => {
      if (index < listed.length) return listed[index];
      const n = first + index - listed.length;
      if (n >= end) return undefined;
      const from = v.from + n * step;
      return { from, to: from + v.segmentMs, file: v.file, codec: v.codec };
    },
  };
}

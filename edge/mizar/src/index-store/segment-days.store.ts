import type { DatabaseSync } from 'node:sqlite';
import { mizarErrors } from '../mizar.errors';
import type { IndexedSegment } from './face-index.store';
import { DAY_MS } from './recover.store';
import { type NewSighting, sightingId } from './sighting';

/** Where a day's next sightings go: its number, and how much of its two files is committed. */
export interface DayFile {
  readonly fileId: number;
  readonly rows: number;
  readonly cropBytes: number;
}

/** What of a segment lies on one UTC day. */
export interface DayPart {
  readonly day: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly sightings: readonly NewSighting[];
}

/** A segment over midnight goes into two files. */
export function splitByDay(segment: IndexedSegment): DayPart[] {
  const parts: DayPart[] = [];
  for (let day = Math.floor(segment.fromMs / DAY_MS); day * DAY_MS < segment.toMs; day++) {
    const fromMs = Math.max(segment.fromMs, day * DAY_MS);
    const toMs = Math.min(segment.toMs, (day + 1) * DAY_MS);
    parts.push({ day, fromMs, toMs, sightings: segment.sightings.filter((s) => s.atMs >= fromMs && s.atMs < toMs) });
  }
  return parts;
}

/** The day's file and its committed ends; a new one gets the next number, which counts only once committed. */
export function dayFile(db: DatabaseSync, segment: IndexedSegment, day: number, now: number): DayFile {
  const known = db
    .prepare('SELECT file_id, vector_rows, crop_bytes, dimension FROM files WHERE camera_id = ? AND pack_id = ? AND day = ?')
    .get(segment.cameraId, segment.packId, day) as
    | { file_id: number; vector_rows: number; crop_bytes: number; dimension: number }
    | undefined;
  if (known && known.dimension !== segment.dimension)
    throw mizarErrors.packMismatch(`${segment.packId}/${segment.dimension}`, `${segment.packId}/${known.dimension}`);
  if (known) return { fileId: known.file_id, rows: known.vector_rows, cropBytes: known.crop_bytes };
  // Inserted before its bytes are written: the number must not be given to another, also when this write fails.
  const added = db
    .prepare(
      `INSERT INTO files (camera_id, pack_id, dimension, day, vector_rows, crop_bytes, first_indexed_ms)
       VALUES (?, ?, ?, ?, 0, 0, ?)`,
    )
    .run(segment.cameraId, segment.packId, segment.dimension, day, now);
  return { fileId: Number(added.lastInsertRowid), rows: 0, cropBytes: 0 };
}

/** Returns the bytes of their crops. Two boxes of one frame that round to the same pixels are one sighting. */
export function insertSightings(db: DatabaseSync, segment: IndexedSegment, part: DayPart & DayFile): number {
  const insert = db.prepare('INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sighting_id) DO NOTHING');
  let offset = part.cropBytes;
  part.sightings.forEach((s, i) => {
    const id = sightingId(segment.cameraId, segment.packId, s.atMs, s.box);
    insert.run(part.fileId, part.rows + i, id, s.atMs, ...s.box, segment.frameWidth, segment.frameHeight, s.quality, offset, s.crop.length);
    offset += s.crop.length;
  });
  return offset - part.cropBytes;
}

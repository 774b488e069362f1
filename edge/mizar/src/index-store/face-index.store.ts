import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { emptyLog, inTransaction, isDiskFull, openSqlite } from '@dipper/platform';
import { mizarErrors } from '../mizar.errors';
import { appendDurably } from './append-file';
import {
  deleteFile,
  filesBefore,
  filesOfPack,
  forgetInFile,
  type IndexedCamera,
  indexedCameras,
  overdueFiles,
  type PackFaces,
  withdrawFile,
  withdrawnFiles,
} from './forget.store';
import { migrations } from './migrations';
import { readExactly } from './read-exactly';
import { cropPath, cutSpans, recoverFiles, vectorPath } from './recover.store';
import { type DayFile, type DayPart, dayFile, insertSightings, splitByDay } from './segment-days.store';
import type { NewSighting, StoredSighting } from './sighting';

export interface CoveredSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly samplingMs: number;
}

/** Everything one segment gave, stored at once or not at all. */
export interface IndexedSegment extends CoveredSpan {
  readonly cameraId: string;
  readonly packId: string;
  readonly dimension: number;
  readonly frameWidth: number;
  readonly frameHeight: number;
  /** In order of time, all within the span. */
  readonly sightings: readonly NewSighting[];
}

/** Rows that follow one another in one file of vectors. */
export interface VectorRange {
  readonly fileId: number;
  readonly dimension: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** Enough for a box of a hundred cameras, swept six times an hour. */
const FILES_OF_ONE_SWEEP = 50;

type Counters = Readonly<Record<string, number>>;

/**
 * The face index: what this box has looked at and whom it saw. Vectors and crops are appended to plain files and
 * synced; then one SQLite transaction makes them count. A process killed at any moment leaves either all of a
 * segment or nothing of it.
 */
export class FaceIndex {
  /** Days whose files turned out shorter than committed when opened; their coverage was withdrawn. */
  readonly lostDays: number;
  private writing: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly db: DatabaseSync,
    private readonly folder: string,
    private readonly now: () => number,
  ) {
    this.lostDays = recoverFiles(db, folder);
  }

  static open(folder: string, now: () => number = Date.now): FaceIndex {
    return new FaceIndex(openSqlite(join(folder, 'faces.sqlite'), migrations), folder, now);
  }

  /** Replaces whatever was stored of the camera and pack in the span. Throws `index.disk_full`; then nothing has changed. */
  replaceSpan(segment: IndexedSegment, counters: Counters = {}): Promise<void> {
    return this.alone(() => this.write(segment, counters));
  }

  /** One writer at a time: two appending to one day's file would each think its end is theirs. */
  private alone<T>(work: () => Promise<T> | T): Promise<T> {
    const done = this.writing.then(work);
    this.writing = done.catch(() => {});
    return done;
  }

  /**
   * Deletes every sighting that is somebody's by one of these, with its picture; what was looked at stays looked at.
   * May be repeated after a crash. Answers how many. Writers get in between two files.
   */
  async forget(packs: readonly PackFaces[]): Promise<number> {
    let forgotten = 0;
    for (const faces of packs)
      for (const { file_id } of filesOfPack(this.db, faces.packId))
        forgotten += await this.alone(async () => {
          const file = filesOfPack(this.db, faces.packId).find((each) => each.file_id === file_id);
          return file ? forgetInFile(this.db, this.folder, file, faces) : 0;
        });
    await this.alone(() => emptyLog(this.db));
    return forgotten;
  }

  /**
   * Days whose indexing began before `before` count as not looked at from now on, so that a later search decodes them
   * again, and an hour later their sightings, vectors and pictures go. Answers how many days went.
   */
  async expire(before: number): Promise<number> {
    for (const file of overdueFiles(this.db, before, FILES_OF_ONE_SWEEP)) await this.alone(() => withdrawFile(this.db, file, this.now()));
    const gone = withdrawnFiles(this.db, this.now(), FILES_OF_ONE_SWEEP);
    for (const file of gone)
      await this.alone(async () => {
        // It may have been indexed again while others wrote.
        if (withdrawnFiles(this.db, this.now(), Number.MAX_SAFE_INTEGER).some((each) => each.file_id === file.file_id))
          await deleteFile(this.db, this.folder, file);
      });
    return gone.length;
  }

  /** Every camera of which something still counts as looked at. */
  cameras(): IndexedCamera[] {
    return indexedCameras(this.db);
  }

  /**
   * The camera's days that ended by `before`, of every pack, go as those that `expire` finds too old. Answers how many
   * counted as looked at until now.
   */
  async forgetFootage(cameraId: string, before: number): Promise<number> {
    const files = filesBefore(this.db, cameraId, before);
    for (const file of files) await this.alone(() => withdrawFile(this.db, file, this.now()));
    return files.length;
  }

  private async write(segment: IndexedSegment, counters: Counters): Promise<void> {
    const parts = splitByDay(segment).map((day) => ({ ...day, ...dayFile(this.db, segment, day.day, this.now()) }));
    try {
      for (const part of parts) {
        if (part.sightings.length === 0) continue;
        const vectors = part.sightings.map((s) => new Uint8Array(s.embedding.buffer, s.embedding.byteOffset, s.embedding.byteLength));
        await appendDurably(vectorPath(this.folder, part.fileId), part.rows * segment.dimension * 4, vectors);
        await appendDurably(
          cropPath(this.folder, part.fileId),
          part.cropBytes,
          part.sightings.map((s) => s.crop),
        );
      }
      inTransaction(this.db, () => this.commit(segment, parts, counters));
    } catch (error) {
      throw hasNoRoom(error) ? mizarErrors.diskFull(error) : error;
    }
  }

  private commit(segment: IndexedSegment, parts: readonly (DayPart & DayFile)[], counters: Counters): void {
    const { db } = this;
    cutSpans(db, segment.cameraId, segment.packId, segment.fromMs, segment.toMs);
    for (const part of parts) {
      db.prepare('UPDATE files SET withdrawn_at_ms = NULL WHERE file_id = ?').run(part.fileId);
      db.prepare('DELETE FROM sightings WHERE file_id = ? AND at_ms >= ? AND at_ms < ?').run(part.fileId, part.fromMs, part.toMs);
      // Their rows stay in the file, but nothing reads them any more.
      db.prepare('DELETE FROM chunks WHERE file_id = ? AND from_ms >= ? AND to_ms <= ?').run(part.fileId, part.fromMs, part.toMs);
      if (part.sightings.length === 0) continue;
      const bytes = insertSightings(db, segment, part);
      db.prepare('INSERT INTO chunks (file_id, first_row, row_count, from_ms, to_ms) VALUES (?, ?, ?, ?, ?)').run(
        part.fileId,
        part.rows,
        part.sightings.length,
        part.sightings[0]!.atMs,
        part.sightings.at(-1)!.atMs + 1,
      );
      db.prepare('UPDATE files SET vector_rows = ?, crop_bytes = ? WHERE file_id = ?').run(
        part.rows + part.sightings.length,
        part.cropBytes + bytes,
        part.fileId,
      );
    }
    db.prepare('INSERT INTO spans (camera_id, pack_id, from_ms, to_ms, sampling_ms) VALUES (?, ?, ?, ?, ?)').run(
      segment.cameraId,
      segment.packId,
      segment.fromMs,
      segment.toMs,
      segment.samplingMs,
    );
    const count = db.prepare('INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value');
    for (const [name, value] of Object.entries(counters)) count.run(name, value);
  }

  /** What was looked at within the range, in order. Neighbours with the same sampling are one span. */
  coverage(cameraId: string, packId: string, fromMs: number, toMs: number): CoveredSpan[] {
    const rows = this.db
      .prepare(
        'SELECT from_ms, to_ms, sampling_ms FROM spans WHERE camera_id = ? AND pack_id = ? AND from_ms < ? AND to_ms > ? ORDER BY from_ms',
      )
      .all(cameraId, packId, toMs, fromMs) as unknown as { from_ms: number; to_ms: number; sampling_ms: number }[];
    const merged: { fromMs: number; toMs: number; samplingMs: number }[] = [];
    for (const row of rows) {
      const next = { fromMs: Math.max(row.from_ms, fromMs), toMs: Math.min(row.to_ms, toMs), samplingMs: row.sampling_ms };
      const last = merged.at(-1);
      if (last && last.toMs === next.fromMs && last.samplingMs === next.samplingMs) last.toMs = next.toMs;
      else merged.push(next);
    }
    return merged;
  }

  /** Where the vectors of a camera in a range of time lie; ranges that touch in a file are one. May hold a few of other times. */
  vectorRanges(cameraId: string, packId: string, fromMs: number, toMs: number): VectorRange[] {
    const rows = this.db
      .prepare(
        `SELECT f.file_id, f.dimension, c.first_row, c.row_count FROM files f JOIN chunks c USING (file_id)
         WHERE f.camera_id = ? AND f.pack_id = ? AND c.from_ms < ? AND c.to_ms > ? ORDER BY f.day, c.first_row`,
      )
      .all(cameraId, packId, toMs, fromMs) as unknown as { file_id: number; dimension: number; first_row: number; row_count: number }[];
    const ranges: { fileId: number; dimension: number; firstRow: number; rows: number }[] = [];
    for (const row of rows) {
      const last = ranges.at(-1);
      if (last && last.fileId === row.file_id && last.firstRow + last.rows === row.first_row) last.rows += row.row_count;
      else ranges.push({ fileId: row.file_id, dimension: row.dimension, firstRow: row.first_row, rows: row.row_count });
    }
    return ranges;
  }

  /** Reads rows of vectors into `into`, which they must fill. */
  async readVectors(range: VectorRange, into: Uint8Array): Promise<void> {
    await readFile(vectorPath(this.folder, range.fileId), range.firstRow * range.dimension * 4, into);
  }

  /** The sighting a row belongs to; undefined when it was replaced, or lies outside the range of time. */
  sightingAt(fileId: number, row: number, fromMs: number, toMs: number): StoredSighting | undefined {
    const found = this.db
      .prepare('SELECT * FROM sightings WHERE file_id = ? AND row_number = ? AND at_ms >= ? AND at_ms < ?')
      .get(fileId, row, fromMs, toMs) as SightingRow | undefined;
    return found && toSighting(found);
  }

  /** The JPEG of a sighting. Throws `crop.not_found`. */
  async readCrop(id: string): Promise<Uint8Array> {
    const row = /^[0-9a-f]{32}$/.test(id)
      ? (this.db.prepare('SELECT file_id, crop_offset, crop_length FROM sightings WHERE sighting_id = ?').get(Buffer.from(id, 'hex')) as
          | { file_id: number; crop_offset: number; crop_length: number }
          | undefined)
      : undefined;
    if (!row || row.crop_length === 0) throw mizarErrors.cropNotFound(id.slice(0, 64));
    const jpeg = new Uint8Array(row.crop_length);
    await readFile(cropPath(this.folder, row.file_id), row.crop_offset, jpeg);
    return jpeg;
  }

  counters(): Record<string, number> {
    const rows = this.db.prepare('SELECT name, value FROM counters').all() as { name: string; value: number }[];
    return Object.fromEntries(rows.map((r) => [r.name, r.value]));
  }

  /** Waits for the write under way. */
  async close(): Promise<void> {
    await this.writing;
    this.db.close();
  }
}

interface SightingRow {
  sighting_id: Uint8Array;
  at_ms: number;
  x: number;
  y: number;
  width: number;
  height: number;
  frame_width: number;
  frame_height: number;
  quality: number;
}

function toSighting(row: SightingRow): StoredSighting {
  return {
    sightingId: Buffer.from(row.sighting_id).toString('hex'),
    atMs: row.at_ms,
    box: [row.x, row.y, row.width, row.height],
    quality: row.quality,
    frameWidth: row.frame_width,
    frameHeight: row.frame_height,
  };
}

async function readFile(path: string, offset: number, into: Uint8Array): Promise<void> {
  const file = await open(path, 'r');
  await readExactly(file, offset, into).finally(() => file.close());
}

/** Also SQLite's word for it, SQLITE_FULL. */
const hasNoRoom = (error: unknown): boolean => isDiskFull(error) || (error as { errcode?: number }).errcode === 13;

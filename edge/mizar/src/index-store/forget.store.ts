import { type FileHandle, open, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '@dipper/platform';
import { bestMatches, VectorBlock } from '../match/best-matches';
import { readExactly } from './read-exactly';
import { cropPath, cutSpans, DAY_MS, vectorPath } from './recover.store';

/** Somebody by what one pack makes of their photos. */
export interface PackFaces {
  readonly packId: string;
  readonly dimension: number;
  /** Cosine; a score equal to it is theirs. */
  readonly threshold: number;
  /** Unit vectors, one after the other; at least one. */
  readonly embeddings: Float32Array;
}

export interface IndexFile {
  readonly file_id: number;
  readonly camera_id: string;
  readonly pack_id: string;
  readonly dimension: number;
  readonly day: number;
  readonly vector_rows: number;
}

const BLOCK_BYTES = 1024 * 1024;
const ROWS_OF_ONE_DELETE = 2000;
/** Between a question about what was looked at and the one about who was seen: far less than this. */
export const WITHDRAWN_FOR_MS = 3_600_000;

export const filesOfPack = (db: DatabaseSync, packId: string): IndexFile[] =>
  db
    .prepare('SELECT file_id, camera_id, pack_id, dimension, day, vector_rows FROM files WHERE pack_id = ?')
    .all(packId) as unknown as IndexFile[];

/**
 * Deletes the sightings of one file that are somebody's, their pictures and vectors overwritten with zeros, also of rows
 * that were replaced. In an order that a killed process can be repeated in: the vector, by which a sighting is found, goes
 * last. Answers how many sightings. Nobody may write to the file meanwhile.
 */
export async function forgetInFile(db: DatabaseSync, folder: string, file: IndexFile, faces: PackFaces): Promise<number> {
  if (file.dimension !== faces.dimension || file.vector_rows === 0) return 0;
  const rowBytes = file.dimension * 4;
  const blockRows = Math.min(file.vector_rows, Math.max(1, Math.floor(BLOCK_BYTES / rowBytes)));
  const block = new VectorBlock(file.dimension, blockRows);
  const vectors = await open(vectorPath(folder, file.file_id), 'r+');
  let forgotten = 0;
  try {
    for (let first = 0; first < file.vector_rows; first += blockRows) {
      const rows = Math.min(blockRows, file.vector_rows - first);
      await readExactly(vectors, first * rowBytes, new Uint8Array(block.vectors.buffer, 0, rows * rowBytes));
      const query = { personId: '', embeddings: faces.embeddings };
      const theirs = bestMatches(block, rows, [query], faces.threshold).map(({ row }) => first + row);
      if (theirs.length === 0) continue;
      forgotten += await forgetRows(db, folder, file, theirs);
      const nothing = new Uint8Array(rowBytes);
      for (const row of theirs) await vectors.write(nothing, 0, rowBytes, row * rowBytes);
      await vectors.datasync();
    }
  } finally {
    await vectors.close();
  }
  return forgotten;
}

async function forgetRows(db: DatabaseSync, folder: string, { file_id }: IndexFile, rows: readonly number[]): Promise<number> {
  // By where they begin: many rows that were replaced may lie in one gap.
  const pictures = new Map<number, number>();
  for (const { from, to } of rows.map((row) => pictureOf(db, file_id, row))) pictures.set(from, Math.max(to, pictures.get(from) ?? 0));
  const crops = await open(cropPath(folder, file_id), 'r+');
  try {
    for (const [from, to] of pictures) await writeZeros(crops, from, to);
    await crops.datasync();
  } finally {
    await crops.close();
  }
  const remove = db.prepare('DELETE FROM sightings WHERE file_id = ? AND row_number = ?');
  return inTransaction(db, () => rows.reduce((gone, row) => gone + Number(remove.run(file_id, row).changes), 0));
}

/**
 * Where in the file of pictures a row's is. Of one that was replaced nobody knows any more: it lies somewhere between
 * the pictures of the rows before and after it that were not, and there is nobody's in use there.
 */
function pictureOf(db: DatabaseSync, fileId: number, row: number): { from: number; to: number } {
  const sightings = (which: string) =>
    db
      .prepare(`SELECT crop_offset AS start, crop_offset + crop_length AS "end" FROM sightings WHERE file_id = ? AND row_number ${which}`)
      .get(fileId, row) as { start: number; end: number } | undefined;
  const own = sightings('= ?');
  if (own) return { from: own.start, to: own.end };
  const before = sightings('< ? ORDER BY row_number DESC LIMIT 1');
  const after = sightings('> ? ORDER BY row_number LIMIT 1');
  const { crop_bytes } = db.prepare('SELECT crop_bytes FROM files WHERE file_id = ?').get(fileId) as { crop_bytes: number };
  return { from: before?.end ?? 0, to: after?.start ?? crop_bytes };
}

async function writeZeros(file: FileHandle, from: number, to: number): Promise<void> {
  const nothing = new Uint8Array(Math.min(BLOCK_BYTES, to - from));
  for (let at = from; at < to; at += nothing.length) await file.write(nothing, 0, Math.min(nothing.length, to - at), at);
}

/** Days whose first segment was indexed before `before` and that still count as looked at. */
export const overdueFiles = (db: DatabaseSync, before: number, limit: number): IndexFile[] =>
  db
    .prepare(
      `SELECT file_id, camera_id, pack_id, dimension, day, vector_rows FROM files
       WHERE first_indexed_ms <= ? AND withdrawn_at_ms IS NULL ORDER BY first_indexed_ms LIMIT ?`,
    )
    .all(before, limit) as unknown as IndexFile[];

export interface IndexedCamera {
  readonly cameraId: string;
  /** Where its oldest UTC day begins that still counts as looked at, with whichever pack. */
  readonly oldestMs: number;
}

export const indexedCameras = (db: DatabaseSync): IndexedCamera[] =>
  (
    db.prepare('SELECT camera_id, min(day) AS day FROM files WHERE withdrawn_at_ms IS NULL GROUP BY camera_id').all() as unknown as {
      camera_id: string;
      day: number;
    }[]
  ).map(({ camera_id, day }) => ({ cameraId: camera_id, oldestMs: day * DAY_MS }));

/** The camera's days that ended by `before` and still count as looked at. */
export const filesBefore = (db: DatabaseSync, cameraId: string, before: number): IndexFile[] =>
  db
    .prepare(
      `SELECT file_id, camera_id, pack_id, dimension, day, vector_rows FROM files
       WHERE camera_id = ? AND day < ? AND withdrawn_at_ms IS NULL ORDER BY day`,
    )
    .all(cameraId, Math.floor(before / DAY_MS)) as unknown as IndexFile[];

/** The day counts as not looked at from now on; its sightings stay for whoever has already asked. */
export function withdrawFile(db: DatabaseSync, file: IndexFile, now: number): void {
  inTransaction(db, () => {
    cutSpans(db, file.camera_id, file.pack_id, file.day * DAY_MS, (file.day + 1) * DAY_MS);
    db.prepare('UPDATE files SET withdrawn_at_ms = ? WHERE file_id = ?').run(now, file.file_id);
  });
}

/** Days that were withdrawn long enough ago and not indexed again since. */
export const withdrawnFiles = (db: DatabaseSync, now: number, limit: number): IndexFile[] =>
  db
    .prepare(
      `SELECT file_id, camera_id, pack_id, dimension, day, vector_rows FROM files
       WHERE withdrawn_at_ms <= ? ORDER BY withdrawn_at_ms LIMIT ?`,
    )
    .all(now - WITHDRAWN_FOR_MS, limit) as unknown as IndexFile[];

/** Deletes a day for good. In small transactions: a question to the index must not wait for a million rows. */
export async function deleteFile(db: DatabaseSync, folder: string, file: IndexFile): Promise<void> {
  const remove = db.prepare(
    'DELETE FROM sightings WHERE (file_id, row_number) IN (SELECT file_id, row_number FROM sightings WHERE file_id = ? LIMIT ?)',
  );
  db.prepare('DELETE FROM chunks WHERE file_id = ?').run(file.file_id);
  while (Number(remove.run(file.file_id, ROWS_OF_ONE_DELETE).changes) > 0) await new Promise((resolve) => setImmediate(resolve));
  // The row first: a file that it names and that is not there reads as damage; one that nobody names goes with the next start.
  db.prepare('DELETE FROM files WHERE file_id = ?').run(file.file_id);
  await rm(vectorPath(folder, file.file_id), { force: true });
  await rm(cropPath(folder, file.file_id), { force: true });
}

import { open, rm } from 'node:fs/promises';
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
 * Deletes the sightings of one file that are somebody's, their pictures and vectors overwritten with zeros, also in rows
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
  const find = db.prepare('SELECT crop_offset, crop_length FROM sightings WHERE file_id = ? AND row_number = ?');
  const found = rows.flatMap((row) => (find.get(file_id, row) as { crop_offset: number; crop_length: number } | undefined) ?? []);
  const crops = await open(cropPath(folder, file_id), 'r+');
  try {
    for (const { crop_offset, crop_length } of found) await crops.write(new Uint8Array(crop_length), 0, crop_length, crop_offset);
    await crops.datasync();
  } finally {
    await crops.close();
  }
  const remove = db.prepare('DELETE FROM sightings WHERE file_id = ? AND row_number = ?');
  inTransaction(db, () => {
    for (const row of rows) remove.run(file_id, row);
  });
  return found.length;
}

/** Days whose first segment was indexed before `before` and that still count as looked at. */
export const overdueFiles = (db: DatabaseSync, before: number, limit: number): IndexFile[] =>
  db
    .prepare(
      `SELECT file_id, camera_id, pack_id, dimension, day, vector_rows FROM files
       WHERE first_indexed_ms <= ? AND (withdrawn_at_ms IS NULL OR last_indexed_ms > withdrawn_at_ms) ORDER BY first_indexed_ms LIMIT ?`,
    )
    .all(before, limit) as unknown as IndexFile[];

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
       WHERE withdrawn_at_ms <= ? AND last_indexed_ms <= withdrawn_at_ms ORDER BY withdrawn_at_ms LIMIT ?`,
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

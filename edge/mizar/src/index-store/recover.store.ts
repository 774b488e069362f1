import { existsSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '@dipper/platform';

interface FileRow {
  file_id: number;
  camera_id: string;
  pack_id: string;
  dimension: number;
  vector_rows: number;
  crop_bytes: number;
  day: number;
}

export const vectorPath = (folder: string, fileId: number): string => join(folder, 'vectors', `${fileId}.f32`);
export const cropPath = (folder: string, fileId: number): string => join(folder, 'crops', `${fileId}.jpgs`);
export const DAY_MS = 86_400_000;

const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

/**
 * Brings the files back to what was committed. A tail beyond it is cut off. A file shorter than committed (a disk
 * that lied about fsync, a hand that deleted) is forgotten together with its day's coverage, so that the footage is
 * looked at again instead of "no match" being answered from a hole. Returns how many days were lost so.
 */
export function recoverFiles(db: DatabaseSync, folder: string): number {
  const files = db.prepare('SELECT * FROM files').all() as unknown as FileRow[];
  let lost = 0;
  for (const file of files) {
    const [vectors, crops] = [vectorPath(folder, file.file_id), cropPath(folder, file.file_id)];
    const committed = file.vector_rows * file.dimension * 4;
    if (sizeOf(vectors) < committed || sizeOf(crops) < file.crop_bytes) {
      forgetFile(db, file);
      lost++;
      continue;
    }
    if (sizeOf(vectors) > committed) truncateSync(vectors, committed);
    if (sizeOf(crops) > file.crop_bytes) truncateSync(crops, file.crop_bytes);
  }
  removeStrangers(db, folder);
  return lost;
}

function forgetFile(db: DatabaseSync, file: FileRow): void {
  const [from, to] = [file.day * DAY_MS, (file.day + 1) * DAY_MS];
  inTransaction(db, () => {
    db.prepare('DELETE FROM sightings WHERE file_id = ?').run(file.file_id);
    db.prepare('DELETE FROM chunks WHERE file_id = ?').run(file.file_id);
    db.prepare('DELETE FROM files WHERE file_id = ?').run(file.file_id);
    cutSpans(db, file.camera_id, file.pack_id, from, to);
  });
}

/** Takes [from, to) out of the coverage of a camera: spans inside go, spans across keep what lies outside. */
export function cutSpans(db: DatabaseSync, cameraId: string, packId: string, from: number, to: number): void {
  const overlapping = db
    .prepare('SELECT * FROM spans WHERE camera_id = ? AND pack_id = ? AND from_ms < ? AND to_ms > ?')
    .all(cameraId, packId, to, from) as unknown as { span_id: number; from_ms: number; to_ms: number; sampling_ms: number }[];
  const insert = db.prepare('INSERT INTO spans (camera_id, pack_id, from_ms, to_ms, sampling_ms) VALUES (?, ?, ?, ?, ?)');
  for (const span of overlapping) {
    db.prepare('DELETE FROM spans WHERE span_id = ?').run(span.span_id);
    if (span.from_ms < from) insert.run(cameraId, packId, span.from_ms, from, span.sampling_ms);
    if (span.to_ms > to) insert.run(cameraId, packId, to, span.to_ms, span.sampling_ms);
  }
}

/** Files of a first write that never committed. */
function removeStrangers(db: DatabaseSync, folder: string): void {
  const known = new Set((db.prepare('SELECT file_id FROM files').all() as { file_id: number }[]).map((f) => String(f.file_id)));
  for (const part of ['vectors', 'crops']) {
    if (!existsSync(join(folder, part))) continue;
    for (const name of readdirSync(join(folder, part))) {
      if (!known.has(name.replace(/\.\w+$/, ''))) rmSync(join(folder, part, name));
    }
  }
}

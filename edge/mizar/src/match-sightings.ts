import type { FaceIndex, VectorRange } from './index-store/face-index.store';
import type { StoredSighting } from './index-store/sighting';
import { bestMatches, type Query, VectorBlock } from './match/best-matches';
import { mizarErrors } from './mizar.errors';

export interface MatchQuestion {
  readonly cameraId: string;
  readonly packId: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Cosine; a score equal to it matches. */
  readonly threshold: number;
  readonly dimension: number;
  readonly queries: readonly Query[];
}

export interface Match extends StoredSighting {
  readonly personId: string;
  readonly score: number;
}

/** A block is compared without a pause, and stays in a core's cache while many queries pass over it. */
const BLOCK_BYTES = 1024 * 1024;
const PAGE = 100;

/** Pages of matches, by day and then in the order they were indexed. Never empty; memory is one block however long the range. */
export async function* matchSightings(index: FaceIndex, question: MatchQuestion, signal: AbortSignal): AsyncGenerator<Match[]> {
  let page: Match[] = [];
  for (const range of index.vectorRanges(question.cameraId, question.packId, question.fromMs, question.toMs)) {
    if (range.dimension !== question.dimension) throw mizarErrors.requestInvalid('persons.embeddings');
    for await (const match of matchRange(index, range, question, signal)) {
      page.push(match);
      if (page.length < PAGE) continue;
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}

async function* matchRange(index: FaceIndex, range: VectorRange, question: MatchQuestion, signal: AbortSignal): AsyncGenerator<Match> {
  const blockRows = Math.min(range.rows, Math.max(1, Math.floor(BLOCK_BYTES / (range.dimension * 4))));
  const block = new VectorBlock(range.dimension, blockRows);
  for (let done = 0; done < range.rows; done += blockRows) {
    if (signal.aborted) throw mizarErrors.cancelled();
    const rows = Math.min(blockRows, range.rows - done);
    const firstRow = range.firstRow + done;
    await index.readVectors({ ...range, firstRow, rows }, new Uint8Array(block.vectors.buffer, 0, rows * range.dimension * 4));
    for (const { row, personId, score } of bestMatches(block, rows, question.queries, question.threshold)) {
      const sighting = index.sightingAt(range.fileId, firstRow + row, question.fromMs, question.toMs);
      if (sighting) yield { ...sighting, personId, score };
    }
  }
}

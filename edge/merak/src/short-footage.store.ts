import type { DatabaseSync } from 'node:sqlite';
import type { alioth } from '@stardipper/proto';
import { segmentKey } from './neighbours';

/** What of a listed segment could be decoded; Unix ms. */
export interface DecodedPart {
  readonly from: number;
  readonly to: number;
  readonly samplingMs: number;
}

/**
 * How long a file that came shorter than listed is believed to stay so. Recorders do hand out a clip whole after they
 * handed it out cut, but not within the hour in which an operator asks twice.
 */
const believedMs = 3_600_000;

/** Segments whose files end before their listing does: asking for other people in the same hours need not decode them again. */
export class ShortFootageStore {
  private readonly statements;

  constructor(db: DatabaseSync) {
    this.statements = {
      find: db.prepare('SELECT from_ms, to_ms, sampling_ms FROM short_footage WHERE segment_key = ? AND pack_id = ? AND seen_at_ms > ?'),
      save: db.prepare(`INSERT INTO short_footage (segment_key, pack_id, from_ms, to_ms, sampling_ms, seen_at_ms) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (segment_key, pack_id) DO UPDATE SET from_ms = excluded.from_ms, to_ms = excluded.to_ms, sampling_ms = excluded.sampling_ms, seen_at_ms = excluded.seen_at_ms`),
      forget: db.prepare('DELETE FROM short_footage WHERE seen_at_ms <= ?'),
    };
  }

  find(segment: alioth.Segment, packId: string, nowMs: number): DecodedPart | undefined {
    const row = this.statements.find.get(segmentKey(segment), packId, nowMs - believedMs) as
      | { from_ms: number; to_ms: number; sampling_ms: number }
      | undefined;
    return row && { from: row.from_ms, to: row.to_ms, samplingMs: row.sampling_ms };
  }

  save(segment: alioth.Segment, packId: string, decoded: DecodedPart, nowMs: number): void {
    this.statements.forget.run(nowMs - believedMs);
    this.statements.save.run(segmentKey(segment), packId, decoded.from, decoded.to, decoded.samplingMs, nowMs);
  }
}

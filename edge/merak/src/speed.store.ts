import type { DatabaseSync } from 'node:sqlite';

/** What looking at one camera's footage costs this box. */
export interface CameraSpeed {
  /** Milliseconds of one download session per second of footage. */
  downloadMsPerS: number;
  /** Milliseconds of the whole box per second of footage: with several segments at once each bears its share. */
  indexMsPerS: number;
  bytesPerS: number;
  /** 0 to 1: how much of a stretch of time has footage. */
  footageShare: number;
  samples: number;
}

export interface SpeedKey {
  readonly recorderId: string;
  readonly channel: number;
  readonly packId: string;
}

interface SpeedRow {
  recorder_id: string;
  channel: number;
  pack_id: string;
  download_ms_per_s: number;
  index_ms_per_s: number;
  bytes_per_s: number;
  footage_share: number;
  samples: number;
}

/** Measured speeds per camera and model pack, over restarts. */
export class SpeedStore {
  private readonly statements;

  constructor(db: DatabaseSync) {
    this.statements = {
      all: db.prepare('SELECT * FROM camera_speeds ORDER BY measured_at_ms DESC LIMIT 20000'),
      save: db.prepare(`INSERT INTO camera_speeds (recorder_id, channel, pack_id, download_ms_per_s, index_ms_per_s, bytes_per_s, footage_share, samples, measured_at_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (recorder_id, channel, pack_id) DO UPDATE SET download_ms_per_s = excluded.download_ms_per_s, index_ms_per_s = excluded.index_ms_per_s,
          bytes_per_s = excluded.bytes_per_s, footage_share = excluded.footage_share, samples = excluded.samples, measured_at_ms = excluded.measured_at_ms`),
    };
  }

  all(): { key: SpeedKey; speed: CameraSpeed }[] {
    return (this.statements.all.all() as unknown as SpeedRow[]).map((row) => ({
      key: { recorderId: row.recorder_id, channel: row.channel, packId: row.pack_id },
      speed: {
        downloadMsPerS: row.download_ms_per_s,
        indexMsPerS: row.index_ms_per_s,
        bytesPerS: row.bytes_per_s,
        footageShare: row.footage_share,
        samples: row.samples,
      },
    }));
  }

  save({ recorderId, channel, packId }: SpeedKey, s: CameraSpeed, now: number): void {
    this.statements.save.run(recorderId, channel, packId, s.downloadMsPerS, s.indexMsPerS, s.bytesPerS, s.footageShare, s.samples, now);
  }
}

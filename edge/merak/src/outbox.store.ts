import type { DatabaseSync } from 'node:sqlite';
import { alioth, dubhe, reportKeys, type TaskReport } from '@stardipper/proto';

interface ReportRow {
  position: number;
  id: string;
  body: string;
  crop_sighting_ids: string;
  at_ms: number;
}

/** What must still be told: reports to Dubhe, and to Alioth that a file is no longer needed. */
export class OutboxStore {
  private readonly statements;

  constructor(db: DatabaseSync) {
    const sql = (text: string) => db.prepare(text);
    this.statements = {
      insert: sql('INSERT INTO outgoing_reports (id, task_id, body, crop_sighting_ids, at_ms) VALUES (?, ?, ?, ?, ?)'),
      page: sql('SELECT position, id, body, crop_sighting_ids, at_ms FROM outgoing_reports ORDER BY position LIMIT ?'),
      delete: sql('DELETE FROM outgoing_reports WHERE position <= ?'),
      count: sql('SELECT count(*) AS n FROM outgoing_reports'),
      insertRelease: sql('INSERT OR IGNORE INTO segment_releases (segment_key, segment) VALUES (?, ?)'),
      deleteRelease: sql('DELETE FROM segment_releases WHERE segment_key = ?'),
      releases: sql('SELECT segment_key, segment FROM segment_releases LIMIT ?'),
    };
  }

  add(report: TaskReport, cropSightingIds: readonly string[], now: number): void {
    this.statements.insert.run(report.id, report.taskId, JSON.stringify(report), JSON.stringify(cropSightingIds), now);
  }

  /** The oldest reports, and the position up to which to delete them once they are delivered. */
  page(limit: number): { reports: dubhe.Report[]; until: number } {
    const rows = this.statements.page.all(limit) as unknown as ReportRow[];
    const reports = rows.map((row) => ({
      id: row.id,
      key: reportKeys.task,
      bodyJson: row.body,
      atMs: row.at_ms,
      cropSightingIds: JSON.parse(row.crop_sighting_ids) as string[],
    }));
    return { reports, until: rows.at(-1)?.position ?? 0 };
  }

  delivered(until: number): void {
    this.statements.delete.run(until);
  }

  count(): number {
    return (this.statements.count.get() as { n: number }).n;
  }

  addRelease(key: string, segment: alioth.Segment): void {
    this.statements.insertRelease.run(key, alioth.Segment.encode(segment).finish());
  }

  released(key: string): void {
    this.statements.deleteRelease.run(key);
  }

  releases(limit: number): { key: string; segment: alioth.Segment }[] {
    const rows = this.statements.releases.all(limit) as unknown as { segment_key: string; segment: Uint8Array }[];
    return rows.map((row) => ({ key: row.segment_key, segment: alioth.Segment.decode(row.segment) }));
  }
}

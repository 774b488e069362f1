import { type dubhe, maxReportBytes, sightingId } from '@stardipper/proto';
import { dubheErrors } from './dubhe.errors';
import type { NewReport, OutgoingStore } from './outgoing.store';

const reportId = /^[\w.:-]{1,128}$/;
const telemetryKey = /^[A-Za-z]\w{0,63}$/;
const maxCropsPerReport = 1000;
const maxReportsPerSubmission = 10_000;

/** Durable when it returns; the whole submission is refused when one report of it is unusable. */
export function submitReports(store: OutgoingStore, request: dubhe.SubmitReportsRequest, nowMs: number): void {
  if (request.reports.length > maxReportsPerSubmission) throw dubheErrors.reportMalformed('', 'reports');
  const reports = request.reports.map((report) => checked(report, nowMs));
  if (reports.length > 0) store.add(reports, nowMs);
}

function checked(report: dubhe.Report, nowMs: number): NewReport {
  const id = report.id.slice(0, 128);
  const bytes = Buffer.byteLength(report.bodyJson);
  if (bytes > maxReportBytes) throw dubheErrors.reportTooLarge(id, bytes);
  if (!reportId.test(report.id)) throw dubheErrors.reportMalformed(id, 'id');
  if (!telemetryKey.test(report.key)) throw dubheErrors.reportMalformed(id, 'key');
  if (!Number.isSafeInteger(report.atMs) || report.atMs < 0) throw dubheErrors.reportMalformed(id, 'at_ms');
  if (report.cropSightingIds.length > maxCropsPerReport || !report.cropSightingIds.every((crop) => sightingId.safeParse(crop).success))
    throw dubheErrors.reportMalformed(id, 'crop_sighting_ids');
  if (!isJsonObject(report.bodyJson)) throw dubheErrors.reportMalformed(id, 'body_json');
  return { id: report.id, key: report.key, body: report.bodyJson, atMs: report.atMs || nowMs, cropSightingIds: report.cropSightingIds };
}

/** Star closes the connection on what it cannot parse, so it must not get into the spool. */
function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

import { type Caller, type Database, who } from '@star/platform';
import type { AuditChain, AuditFilter, AuditLine, Page } from '@stardipper/proto';
import { recordAudit } from './audit';
import { type AuditRow, listAudit } from './audit.store';
import { countUnlinked, readChainEnds, readCheck } from './audit-chain.store';
import { tenantError } from './tenants.errors';

interface Deps {
  readonly database: Database;
}

/** Newest first. Throws `audit.cursor_invalid`. */
export const readAudit =
  ({ database }: Deps) =>
  async (caller: Caller, query: AuditFilter & { cursor?: string; limit: number }): Promise<Page<AuditLine>> => {
    const { cursor, limit, ...filter } = query;
    if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) throw tenantError('audit.cursor_invalid');
    const before = cursor === undefined ? undefined : Number(cursor);
    const rows = await database.tenant(caller.tenantId, (tx) => listAudit(tx, caller.tenantId, filter, before, limit + 1));
    const page = rows.slice(0, limit);
    return { items: page.map(shownLine), nextCursor: rows.length > page.length ? String(page.at(-1)?.id) : null };
  };

/** Until where the chain reaches, and what the last check of it found. */
export const readChainState =
  ({ database }: Deps) =>
  (caller: Caller): Promise<AuditChain> =>
    database.tenant(caller.tenantId, async (tx) => {
      const [end] = await readChainEnds(tx, [caller.tenantId]);
      const check = await readCheck(tx, caller.tenantId);
      return {
        seq: end?.seq ?? 0,
        waiting: await countUnlinked(tx, caller.tenantId),
        checkedAt: check?.checked_at.toISOString() ?? null,
        checkedSeq: check?.seq ?? null,
        problems: check?.problems ?? null,
        exportedAt: check?.exported_at?.toISOString() ?? null,
        exportedSeq: check?.exported_seq ?? null,
      };
    });

const linesAtOnce = 1000;
export type ExportFormat = 'csv' | 'jsonl';

/**
 * Every line that the filter takes, newest first, as text to be streamed; lines written meanwhile are left out. That it
 * was exported is recorded before the first piece. The memory of one page, however long the log is.
 */
export const exportAudit =
  ({ database }: Deps) =>
  async (caller: Caller, filter: AuditFilter, format: ExportFormat): Promise<AsyncGenerator<string>> => {
    await database.tenant(caller.tenantId, (tx) =>
      recordAudit(tx, { ...who(caller), action: 'audit.exported', subject: caller.tenantId, details: { ...filter, format } }),
    );
    return pieces(database, caller.tenantId, filter, format);
  };

async function* pieces(database: Database, tenantId: string, filter: AuditFilter, format: ExportFormat): AsyncGenerator<string> {
  if (format === 'csv') yield `${csvColumns.join(',')}\r\n`;
  let before: number | undefined;
  for (let more = true; more; ) {
    const rows = await database.tenant(tenantId, (tx) => listAudit(tx, tenantId, filter, before, linesAtOnce));
    if (rows.length > 0)
      yield rows.map((row) => (format === 'csv' ? csvLine(shownLine(row)) : `${JSON.stringify(shownLine(row))}\n`)).join('');
    before = rows.at(-1)?.id;
    more = rows.length === linesAtOnce;
  }
}

const csvColumns = [
  'id',
  'at',
  'userId',
  'username',
  'action',
  'subject',
  'ip',
  'userAgent',
  'traceId',
  'before',
  'after',
  'reason',
  'details',
] as const;

const csvLine = (line: AuditLine) => `${csvColumns.map((column) => csvCell(line[column])).join(',')}\r\n`;

/** RFC 4180. A cell that a spreadsheet would take for a formula gets a quote before it: users choose their names and reasons. */
function csvCell(value: unknown): string {
  const text = value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

const shownLine = ({ user_id, user_agent, trace_id, at, ...row }: AuditRow): AuditLine => ({
  ...row,
  at: at.toISOString(),
  userId: user_id,
  userAgent: user_agent,
  traceId: trace_id,
});

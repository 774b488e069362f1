import type { AuditChain, AuditLine, Page } from '@stardipper/proto';
import { download, request } from './client';

/** What the list is narrowed to; empty fields narrow nothing. Times in RFC 3339. */
export interface AuditQuery {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly from: string;
  readonly to: string;
}

const queryOf = (query: AuditQuery, more: Record<string, string> = {}): string => {
  const given = Object.entries({ ...query, ...more }).filter(([, value]) => value !== '');
  return new URLSearchParams(given).toString();
};

export const listAudit = (query: AuditQuery, cursor: string | null) =>
  request<Page<AuditLine>>('GET', `/audit?${queryOf(query, { limit: '50', ...(cursor ? { cursor } : {}) })}`);
export const getAuditChain = () => request<AuditChain>('GET', '/audit/chain');
export const exportAudit = (query: AuditQuery, format: 'csv' | 'jsonl') =>
  download(`/audit/export?${queryOf(query, { format })}`, `audit.${format}`);

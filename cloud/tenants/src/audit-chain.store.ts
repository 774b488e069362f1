import type { Tx } from '@star/platform';

/**
 * What a line's hash is of: PostgreSQL's own text of all its columns, which is the same however a client reads numbers
 * and times. Columns that are NULL are left out, so that one added later changes no hash.
 */
const canonical = `jsonb_strip_nulls(jsonb_build_object('tenant', l.tenant_id, 'id', l.id,
  'at', to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'userId', l.user_id, 'username', l.username,
  'action', l.action, 'subject', l.subject, 'ip', l.ip, 'userAgent', l.user_agent, 'traceId', l.trace_id,
  'before', l.before::text, 'after', l.after::text, 'reason', l.reason, 'details', l.details::text))::text`;

/** False while another process links: two would give one place twice. The lock ends with the transaction. */
export const lockChain = async (tx: Tx): Promise<boolean> =>
  (await tx.query<{ locked: boolean }>("SELECT pg_try_advisory_xact_lock(hashtextextended('star.audit', 0)) AS locked"))[0]?.locked ===
  true;

export interface UnlinkedLine {
  readonly tenant_id: string;
  readonly audit_id: number;
  /** NULL when somebody removed the line before it was linked. */
  readonly line: string | null;
  /** It has a place already: nobody of Star's wrote this note. */
  readonly linked: boolean;
}

/** The oldest first. For a system transaction. */
export const readUnlinked = (tx: Tx, limit: number): Promise<UnlinkedLine[]> =>
  tx.query(
    `SELECT u.tenant_id, u.audit_id, CASE WHEN l.id IS NOT NULL THEN ${canonical} END AS line,
       EXISTS (SELECT 1 FROM tenants.audit_chain c WHERE c.audit_id = u.audit_id) AS linked
     FROM (SELECT tenant_id, audit_id FROM tenants.audit_unlinked ORDER BY audit_id LIMIT $1) u
       LEFT JOIN tenants.audit_log l ON l.id = u.audit_id AND l.tenant_id = u.tenant_id
     ORDER BY u.audit_id`,
    [limit],
  );

export interface ChainEnd {
  readonly tenant_id: string;
  readonly seq: number;
  readonly hash: Buffer;
}

/** Of each of these tenants that has a link. */
export const readChainEnds = (tx: Tx, tenantIds: readonly string[]): Promise<ChainEnd[]> =>
  tx.query(
    `SELECT t.tenant_id, c.seq, c.hash FROM unnest($1::uuid[]) AS t (tenant_id)
     CROSS JOIN LATERAL (SELECT seq, hash FROM tenants.audit_chain WHERE tenant_id = t.tenant_id ORDER BY seq DESC LIMIT 1) c`,
    [tenantIds],
  );

export interface NewLink {
  readonly tenantId: string;
  readonly seq: number;
  readonly auditId: number;
  readonly lineSha256: Buffer;
  readonly hash: Buffer;
  readonly signature: Buffer | null;
}

export const insertLinks = async (tx: Tx, links: readonly NewLink[]): Promise<void> => {
  await tx.execute(
    `INSERT INTO tenants.audit_chain (tenant_id, seq, audit_id, line_sha256, hash, signature)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[])`,
    [
      links.map((link) => link.tenantId),
      links.map((link) => link.seq),
      links.map((link) => link.auditId),
      links.map((link) => link.lineSha256),
      links.map((link) => link.hash),
      links.map((link) => link.signature),
    ],
  );
};

/** The lines wait no longer. */
export const deleteNotes = (tx: Tx, lines: readonly UnlinkedLine[]): Promise<number> =>
  tx.execute('DELETE FROM tenants.audit_unlinked WHERE audit_id = ANY($1::bigint[])', [lines.map((line) => line.audit_id)]);

export interface StoredLink {
  readonly seq: number;
  readonly audit_id: number;
  readonly line_sha256: Buffer;
  readonly hash: Buffer;
  readonly signature: Buffer | null;
  /** As the line is now; NULL when it is gone or another tenant's. */
  readonly line: string | null;
  readonly line_at: Date | null;
}

/** A page of the chain with the lines as they are now. */
export const readLinks = (tx: Tx, tenantId: string, afterSeq: number, limit: number): Promise<StoredLink[]> =>
  tx.query(
    `SELECT c.seq, c.audit_id, c.line_sha256, c.hash, c.signature, CASE WHEN l.id IS NOT NULL THEN ${canonical} END AS line, l.at AS line_at
     FROM (SELECT * FROM tenants.audit_chain WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) c
       LEFT JOIN tenants.audit_log l ON l.id = c.audit_id AND l.tenant_id = c.tenant_id
     ORDER BY c.seq`,
    [tenantId, afterSeq, limit],
  );

export interface WaitingLines {
  readonly waiting: number;
  /** When the oldest of them was written; NULL where none waits, or none of them is there. */
  readonly since: Date | null;
  /** When the newest line of all was. */
  readonly newest: Date | null;
}

const readWaiting = async (tx: Tx, tenantId: string): Promise<WaitingLines> =>
  (
    await tx.query<WaitingLines>(
      `SELECT count(*) AS waiting, min(l.at) AS since, (SELECT max(at) FROM tenants.audit_log WHERE tenant_id = $1) AS newest
       FROM tenants.audit_unlinked u LEFT JOIN tenants.audit_log l ON l.id = u.audit_id AND l.tenant_id = u.tenant_id WHERE u.tenant_id = $1`,
      [tenantId],
    )
  )[0] as WaitingLines;

/** Lines that are in no chain and do not wait for it, and those that wait. */
export const readLoose = async (tx: Tx, tenantId: string, limit: number): Promise<{ loose: number[] } & WaitingLines> => {
  const loose = await tx.query<{ id: number }>(
    `SELECT l.id FROM tenants.audit_log l
     WHERE l.tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM tenants.audit_chain c WHERE c.audit_id = l.id)
       AND NOT EXISTS (SELECT 1 FROM tenants.audit_unlinked u WHERE u.audit_id = l.id)
     ORDER BY l.id LIMIT $2`,
    [tenantId, limit],
  );
  return { loose: loose.map(({ id }) => id), ...(await readWaiting(tx, tenantId)) };
};

export const countUnlinked = async (tx: Tx, tenantId: string): Promise<number> =>
  (await tx.query<{ waiting: number }>('SELECT count(*) AS waiting FROM tenants.audit_unlinked WHERE tenant_id = $1', [tenantId]))[0]
    ?.waiting ?? 0;

/** Every tenant that has or had a log. For a system transaction. */
export const tenantsWithAudit = async (tx: Tx): Promise<string[]> =>
  (
    await tx.query<{ tenant_id: string }>(
      `SELECT tenant_id FROM tenants.tenants UNION SELECT tenant_id FROM tenants.audit_checks
       UNION SELECT tenant_id FROM tenants.audit_chain WHERE seq = 1 ORDER BY tenant_id`,
    )
  ).map((row) => row.tenant_id);

export interface AuditCheck {
  readonly checked_at: Date;
  readonly seq: number;
  readonly problems: number;
  readonly exported_at: Date | null;
  readonly exported_seq: number | null;
}

export const writeCheck = (tx: Tx, tenantId: string, check: AuditCheck): Promise<number> =>
  tx.execute(
    `INSERT INTO tenants.audit_checks (tenant_id, checked_at, seq, problems, exported_at, exported_seq) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT ON CONSTRAINT audit_checks_pkey DO UPDATE SET checked_at = excluded.checked_at, seq = excluded.seq,
       problems = excluded.problems, exported_at = excluded.exported_at, exported_seq = excluded.exported_seq`,
    [tenantId, check.checked_at, check.seq, check.problems, check.exported_at, check.exported_seq],
  );

export const readCheck = async (tx: Tx, tenantId: string): Promise<AuditCheck | undefined> =>
  (
    await tx.query<AuditCheck>(
      'SELECT checked_at, seq, problems, exported_at, exported_seq FROM tenants.audit_checks WHERE tenant_id = $1',
      [tenantId],
    )
  )[0];

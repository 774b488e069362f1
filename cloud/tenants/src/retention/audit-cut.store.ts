import type { Tx } from '@star/platform';
import type { AuditCut } from '../audit-seal';

interface CutRow {
  readonly tenant_id: string;
  readonly seq: number;
  readonly hash: Buffer;
  readonly cut_at: Date;
  readonly before_at: Date;
  readonly settings_version: number;
  readonly signature: Buffer;
}

export interface StoredCut {
  readonly cut: AuditCut;
  readonly signature: Buffer;
}

const stored = (row: CutRow): StoredCut => ({
  cut: {
    tenantId: row.tenant_id,
    seq: row.seq,
    hash: row.hash,
    cutAt: row.cut_at,
    before: row.before_at,
    settingsVersion: row.settings_version,
  },
  signature: row.signature,
});

const columns = 'tenant_id, seq, hash, cut_at, before_at, settings_version, signature';

/** The oldest first. */
export const listCuts = async (tx: Tx, tenantId: string): Promise<StoredCut[]> =>
  (await tx.query<CutRow>(`SELECT ${columns} FROM tenants.audit_cuts WHERE tenant_id = $1 ORDER BY seq`, [tenantId])).map(stored);

/** The last one; until the transaction ends nobody else cuts this log. */
export const lockLastCut = async (tx: Tx, tenantId: string): Promise<StoredCut | undefined> => {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('star.audit.cut ' || $1, 0))", [tenantId]);
  const rows = await tx.query<CutRow>(`SELECT ${columns} FROM tenants.audit_cuts WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1`, [
    tenantId,
  ]);
  return rows.map(stored)[0];
};

export const insertCut = (tx: Tx, { cut, signature }: StoredCut): Promise<number> =>
  tx.execute(`INSERT INTO tenants.audit_cuts (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)`, [
    cut.tenantId,
    cut.seq,
    cut.hash,
    cut.cutAt,
    cut.before,
    cut.settingsVersion,
    signature,
  ]);

/** Lines of the chain's places above `afterSeq` up to `upToSeq`, which a cut must already say; answers what went. */
export const removeLines = async (
  tx: Tx,
  tenantId: string,
  afterSeq: number,
  upToSeq: number,
): Promise<{ items: number; bytes: number }> => {
  const [row] = await tx.query<{ items: number; bytes: number }>('SELECT items, bytes FROM tenants.remove_audit_lines($1, $2, $3)', [
    tenantId,
    afterSeq,
    upToSeq,
  ]);
  return row ?? { items: 0, bytes: 0 };
};

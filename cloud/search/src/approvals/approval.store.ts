import type { Tx } from '@star/platform';
import type { Approval } from '@stardipper/proto';
import { lastId } from '../cursor';

export interface ApprovalRow {
  readonly search_id: string;
  readonly state: Approval['state'];
  readonly requested_by: string;
  readonly requested_by_name: string;
  readonly requested_at: Date;
  readonly expires_at: Date;
  readonly decided_by: string | null;
  readonly decided_by_name: string | null;
  readonly decided_at: Date | null;
  readonly reason: string | null;
  /** Of the people, when approval was asked for; NULL for requests from before that was kept. */
  readonly photo_ids: readonly string[] | null;
  /** Who made the API key that asked. */
  readonly key_made_by: string | null;
}

const columns = `a.search_id, a.state, a.requested_by, a.requested_by_name, a.requested_at, a.expires_at, a.decided_by, a.decided_by_name,
  a.decided_at, a.reason, a.photo_ids, a.key_made_by`;

export const insertApproval = (
  tx: Tx,
  tenantId: string,
  request: {
    readonly searchId: string;
    readonly requestedBy: string;
    readonly requestedByName: string;
    readonly keyMadeBy: string | null;
    readonly requestedAt: Date;
    readonly expiresAt: Date;
    readonly photoIds: readonly string[];
  },
): Promise<number> =>
  tx.execute(
    `INSERT INTO search.approvals (tenant_id, search_id, state, requested_by, requested_by_name, key_made_by, requested_at, expires_at, photo_ids)
     VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8)`,
    [
      tenantId,
      request.searchId,
      request.requestedBy,
      request.requestedByName,
      request.keyMadeBy,
      request.requestedAt,
      request.expiresAt,
      request.photoIds,
    ],
  );

export const approvalsOf = (tx: Tx, searchIds: readonly string[]): Promise<ApprovalRow[]> =>
  tx.query(`SELECT ${columns} FROM search.approvals a WHERE a.search_id = ANY($1)`, [searchIds]);

export interface ApprovalEnd {
  readonly state: Exclude<Approval['state'], 'pending'>;
  readonly at: Date;
  /** Absent: the system. */
  readonly by?: { readonly userId: string; readonly username: string };
  readonly reason?: string;
}

/** Answers 0 when it was no longer pending. */
export const endApproval = (tx: Tx, searchId: string, end: ApprovalEnd): Promise<number> =>
  tx.execute(
    `UPDATE search.approvals SET state = $2, decided_at = $3, decided_by = $4, decided_by_name = $5, reason = $6
     WHERE search_id = $1 AND state = 'pending'`,
    [searchId, end.state, end.at, end.by?.userId ?? null, end.by?.username ?? null, end.reason ?? null],
  );

export interface ApprovalRequestRow extends ApprovalRow {
  readonly name: string;
  readonly purpose: string;
  readonly person_ids: string[];
  /** As many as `person_ids`; NULL for one who was deleted. */
  readonly person_names: (string | null)[];
  readonly cameras: number;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly position: string;
}

/** Newest first, from after `before` (requested_at, search_id). */
export const listApprovals = (
  tx: Tx,
  tenantId: string,
  state: Approval['state'] | undefined,
  before: readonly [string, string] | undefined,
  limit: number,
): Promise<ApprovalRequestRow[]> =>
  tx.query(
    `SELECT ${columns}, s.name, s.purpose, s.person_ids, cardinality(s.camera_ids) AS cameras, s.from_ms, s.to_ms,
       to_char(a.requested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS position,
       ARRAY(SELECT p.name FROM unnest(s.person_ids) WITH ORDINALITY AS u (id, place) LEFT JOIN search.people p ON p.id = u.id
         ORDER BY u.place) AS person_names
     FROM search.approvals a JOIN search.searches s ON s.id = a.search_id
     WHERE a.tenant_id = $1 AND ($2::text IS NULL OR a.state = $2)
       AND (a.requested_at, a.search_id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, '${lastId}'))
     ORDER BY a.requested_at DESC, a.search_id DESC LIMIT $5`,
    [tenantId, state ?? null, before?.[0] ?? null, before?.[1] ?? null, limit],
  );

export const listLapsedApprovals = (tx: Tx, now: Date, limit: number): Promise<{ tenant_id: string; search_id: string }[]> =>
  tx.query("SELECT tenant_id, search_id FROM search.approvals WHERE state = 'pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2", [
    now,
    limit,
  ]);

export const isApprovalRequired = async (tx: Tx, tenantId: string): Promise<boolean> =>
  (await tx.query<{ approval_required: boolean }>('SELECT approval_required FROM search.rules WHERE tenant_id = $1', [tenantId]))[0]
    ?.approval_required ?? false;

export const writeApprovalRule = (tx: Tx, tenantId: string, required: boolean): Promise<number> =>
  tx.execute(
    `INSERT INTO search.rules (tenant_id, approval_required) VALUES ($1, $2)
     ON CONFLICT ON CONSTRAINT rules_pkey DO UPDATE SET approval_required = excluded.approval_required`,
    [tenantId, required],
  );

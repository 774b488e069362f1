import type { Tx } from '@star/platform';

export interface OidcRecord {
  readonly kind: string;
  readonly idSha256: Buffer;
  readonly userId: string | null;
  readonly grantId: string | null;
  readonly sessionUid: string | null;
  readonly payload: string;
  readonly expiresAt: Date;
}

export interface StoredRecord {
  readonly payload: string;
  readonly consumed_at: Date | null;
}

/** Nothing is stored for a user who is gone: 0 then. */
export const upsertRecord = (tx: Tx, record: OidcRecord): Promise<number> =>
  tx.execute(
    `INSERT INTO identity.oidc_records (kind, id_sha256, tenant_id, user_id, grant_id, session_uid, payload, expires_at)
     SELECT $1, $2, u.tenant_id, u.id, $4, $5, $6, $7 FROM (SELECT 1) one LEFT JOIN identity.users u ON u.id = $3
     WHERE $3::uuid IS NULL OR u.enabled
     ON CONFLICT ON CONSTRAINT oidc_records_pkey DO UPDATE SET tenant_id = excluded.tenant_id, user_id = excluded.user_id,
       grant_id = excluded.grant_id, session_uid = excluded.session_uid, payload = excluded.payload, expires_at = excluded.expires_at`,
    [record.kind, record.idSha256, record.userId, record.grantId, record.sessionUid, record.payload, record.expiresAt],
  );

export const findRecord = async (tx: Tx, kind: string, idSha256: Buffer, now: Date): Promise<StoredRecord | undefined> =>
  (
    await tx.query<StoredRecord>(
      'SELECT payload, consumed_at FROM identity.oidc_records WHERE kind = $1 AND id_sha256 = $2 AND expires_at > $3',
      [kind, idSha256, now],
    )
  )[0];

export const findSessionRecord = async (tx: Tx, sessionUid: string, now: Date): Promise<StoredRecord | undefined> =>
  (
    await tx.query<StoredRecord>(
      "SELECT payload, consumed_at FROM identity.oidc_records WHERE kind = 'Session' AND session_uid = $1 AND expires_at > $2",
      [sessionUid, now],
    )
  )[0];

/** 0 when somebody was faster. */
export const consumeRecord = (tx: Tx, kind: string, idSha256: Buffer, now: Date): Promise<number> =>
  tx.execute('UPDATE identity.oidc_records SET consumed_at = $3 WHERE kind = $1 AND id_sha256 = $2 AND consumed_at IS NULL', [
    kind,
    idSha256,
    now,
  ]);

export const removeRecord = (tx: Tx, kind: string, idSha256: Buffer): Promise<number> =>
  tx.execute('DELETE FROM identity.oidc_records WHERE kind = $1 AND id_sha256 = $2', [kind, idSha256]);

/** The grant and everything of it. Without the grant a token that is stored a moment later opens nothing. */
export const removeGrant = (tx: Tx, grantId: string, grantSha256: Buffer): Promise<number> =>
  tx.execute("DELETE FROM identity.oidc_records WHERE grant_id = $1 OR (kind = 'Grant' AND id_sha256 = $2)", [grantId, grantSha256]);

export const grantOf = async (tx: Tx, kind: string, idSha256: Buffer): Promise<string | undefined> =>
  (
    await tx.query<{ grant_id: string | null }>('SELECT grant_id FROM identity.oidc_records WHERE kind = $1 AND id_sha256 = $2', [
      kind,
      idSha256,
    ])
  )[0]?.grant_id ?? undefined;

/** Sessions, grants, codes and tokens. */
export const removeRecordsOf = (tx: Tx, userId: string): Promise<number> =>
  tx.execute('DELETE FROM identity.oidc_records WHERE user_id = $1', [userId]);

/** Anybody can begin a log-in, so what has expired must go as fast as new ones come. */
export const sweepRecords = (tx: Tx, now: Date): Promise<number> =>
  tx.execute(
    `DELETE FROM identity.oidc_records WHERE (kind, id_sha256) IN
       (SELECT kind, id_sha256 FROM identity.oidc_records WHERE expires_at < $1 ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)`,
    [now],
  );

import type { Tx } from '@star/platform';
import type { Pack, PackArchive } from '../ports';

/** Why a pack makes nothing of a photo, by the code an enrolment would get. */
export interface Refusal {
  readonly code: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** For a place that takes a value: the pack of the tenant named by `tenant`, as far as it is known. */
export const packOfTenantSql = (tenant: string): string =>
  `coalesce((SELECT pa.pack_id FROM search.pack_assignments pa WHERE pa.tenant_id = ${tenant}),
     (SELECT pack_id FROM search.packs ORDER BY in_use_since DESC LIMIT 1))`;

/** Since when the tenant has it. */
export const packSinceSql = (tenant: string): string =>
  `coalesce((SELECT tp.in_use_since FROM search.pack_assignments pa JOIN search.tenant_packs tp USING (tenant_id, pack_id)
       WHERE pa.tenant_id = ${tenant}),
     (SELECT max(in_use_since) FROM search.packs))`;

export interface NewAssignment {
  readonly revision: number;
  /** Null when nothing is assigned any more. */
  readonly assigned: { readonly packageId: string; readonly title: string; readonly version: string; readonly sha256: string } | null;
}

/**
 * Answers 0 for what is older than what is known. The pack in use stays until the new one is ready; without an
 * assignment it is the installation's own at once.
 */
export const writeAssignment = (tx: Tx, tenantId: string, { revision, assigned }: NewAssignment): Promise<number> =>
  tx.execute(
    `INSERT INTO search.pack_assignments AS a (tenant_id, revision, package_id, title, version, archive_sha256, settled)
     VALUES ($1, $2, $3, $4, $5, $6, $3::uuid IS NULL)
     ON CONFLICT ON CONSTRAINT pack_assignments_pkey
       DO UPDATE SET revision = excluded.revision, package_id = excluded.package_id, title = excluded.title, version = excluded.version,
         archive_sha256 = excluded.archive_sha256, settled = excluded.settled, refusal = NULL, retry_at = NULL, attempts = 0,
         pack_id = CASE WHEN excluded.package_id IS NULL THEN NULL ELSE a.pack_id END
       WHERE a.revision < excluded.revision`,
    [tenantId, revision, assigned?.packageId ?? null, assigned?.title ?? null, assigned?.version ?? null, assigned?.sha256 ?? null],
  );

/** The pack in use for the tenant when it is an assigned one. */
export interface AssignedPack extends Pack {
  readonly archive: PackArchive;
  readonly since: Date;
}

export async function findAssignedPack(tx: Tx, tenantId: string): Promise<AssignedPack | undefined> {
  const [row] = await tx.query<{
    pack_id: string;
    content_sha256: string;
    default_threshold: number;
    package_id: string;
    archive_sha256: string;
    in_use_since: Date;
  }>(
    `SELECT p.pack_id, p.content_sha256, p.default_threshold, p.package_id, p.archive_sha256, p.in_use_since
     FROM search.pack_assignments a JOIN search.tenant_packs p USING (tenant_id, pack_id) WHERE a.tenant_id = $1`,
    [tenantId],
  );
  return (
    row && {
      packId: row.pack_id,
      contentSha256: row.content_sha256,
      defaultThreshold: row.default_threshold,
      archive: { tenantId, packageId: row.package_id, sha256: row.archive_sha256 },
      since: row.in_use_since,
    }
  );
}

export interface AssignmentRow {
  readonly package_id: string;
  readonly title: string;
  readonly version: string;
  readonly settled: boolean;
  readonly refusal: Refusal | null;
}

/** What is assigned to the tenant. */
export const findAssignment = async (tx: Tx, tenantId: string): Promise<AssignmentRow | undefined> =>
  (
    await tx.query<AssignmentRow>(
      `SELECT package_id, title, version, settled, refusal FROM search.pack_assignments WHERE tenant_id = $1 AND package_id IS NOT NULL`,
      [tenantId],
    )
  )[0];

export interface OpenAssignment {
  readonly tenant_id: string;
  readonly revision: number;
  readonly package_id: string;
  readonly archive_sha256: string;
  readonly attempts: number;
}

/** Whose packs are to be made ready now. For a system transaction. */
export const listOpenAssignments = (tx: Tx, now: Date, limit: number): Promise<OpenAssignment[]> =>
  tx.query(
    `SELECT tenant_id, revision, package_id, archive_sha256, attempts FROM search.pack_assignments
     WHERE NOT settled AND (retry_at IS NULL OR retry_at <= $1) ORDER BY retry_at NULLS FIRST, tenant_id LIMIT $2`,
    [now, limit],
  );

/** The content that the id stands for already, for this tenant or for the whole installation, where it is another one. */
export const findOtherContent = async (tx: Tx, tenantId: string, { packId, contentSha256 }: Pack): Promise<boolean> =>
  (
    await tx.query(
      `SELECT 1 FROM search.tenant_packs WHERE tenant_id = $1 AND pack_id = $2 AND content_sha256 <> $3
       UNION ALL SELECT 1 FROM search.packs WHERE pack_id = $2 AND content_sha256 <> $3 LIMIT 1`,
      [tenantId, packId, contentSha256],
    )
  ).length > 0;

/** From now on the tenant's pack, unless something else was assigned meanwhile: answers 0 then. */
export async function putToUse(tx: Tx, { tenant_id, revision, package_id, archive_sha256 }: OpenAssignment, pack: Pack): Promise<number> {
  const [held] = await tx.query<{ pack_id: string | null }>(
    'SELECT pack_id FROM search.pack_assignments WHERE tenant_id = $1 AND revision = $2 FOR UPDATE',
    [tenant_id, revision],
  );
  if (!held) return 0;
  await tx.execute(
    `INSERT INTO search.tenant_packs AS p
       (tenant_id, pack_id, content_sha256, default_threshold, package_id, archive_sha256, in_use_since)
     VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
     ON CONFLICT ON CONSTRAINT tenant_packs_pkey
       DO UPDATE SET default_threshold = excluded.default_threshold, package_id = excluded.package_id,
         archive_sha256 = excluded.archive_sha256, in_use_since = CASE WHEN $7 THEN p.in_use_since ELSE excluded.in_use_since END`,
    [tenant_id, pack.packId, pack.contentSha256, pack.defaultThreshold, package_id, archive_sha256, held.pack_id === pack.packId],
  );
  return tx.execute(
    `UPDATE search.pack_assignments SET pack_id = $2, settled = true, refusal = NULL, retry_at = NULL WHERE tenant_id = $1`,
    [tenant_id, pack.packId],
  );
}

/** For good, or until `retryAt`; nothing happens when something else was assigned meanwhile. */
export const writeAssignmentRefusal = (
  tx: Tx,
  { tenant_id, revision }: OpenAssignment,
  refusal: Refusal | null,
  retryAt: Date | null,
): Promise<number> =>
  tx.execute(
    `UPDATE search.pack_assignments SET refusal = $3, retry_at = $4, settled = $4::timestamptz IS NULL, attempts = attempts + 1
     WHERE tenant_id = $1 AND revision = $2 AND NOT settled`,
    [tenant_id, revision, refusal && JSON.stringify(refusal), retryAt],
  );

/** The archives that some tenant's pack in use is in. For a system transaction. */
export const listArchivesInUse = async (tx: Tx): Promise<string[]> =>
  (
    await tx.query<{ archive_sha256: string }>(
      `SELECT DISTINCT p.archive_sha256 FROM search.pack_assignments a JOIN search.tenant_packs p USING (tenant_id, pack_id) ORDER BY 1`,
    )
  ).map((row) => row.archive_sha256);

/** A tenant by whose right the archive can be read; undefined when nobody has it in use any more. For a system transaction. */
export const findArchiveInUse = async (tx: Tx, sha256: string): Promise<(PackArchive & { packId: string }) | undefined> =>
  (
    await tx.query<PackArchive & { packId: string }>(
      `SELECT p.tenant_id AS "tenantId", p.package_id AS "packageId", p.archive_sha256 AS sha256, p.pack_id AS "packId"
       FROM search.pack_assignments a JOIN search.tenant_packs p USING (tenant_id, pack_id)
       WHERE p.archive_sha256 = $1 ORDER BY p.in_use_since DESC LIMIT 1`,
      [sha256],
    )
  )[0];

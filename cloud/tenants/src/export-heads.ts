import { setTimeout as sleep } from 'node:timers/promises';
import { createLeases, type Database, type Log, type Objects, type SigningKey } from '@star/platform';
import { objectKeys } from '@stardipper/proto';
import { readCheck, tenantsWithAudit, writeCheck } from './audit-chain.store';
import { hasHeads, readHeadFiles, signHeads, writeHeads } from './audit-heads';
import type { Seal } from './audit-seal';
import { linkAudit } from './link-audit';
import { type AuditHead, type AuditVerdict, verifyAudit } from './verify-audit';

export interface ExportHeadsDeps {
  readonly database: Database;
  readonly objects: Objects;
  readonly key: SigningKey;
  readonly seal: Seal;
  /** Where the files for an operator to keep elsewhere are written. */
  readonly headsFolder: string;
  readonly now: () => Date;
  readonly log?: Log;
}

const lookEveryMs = 600_000;

/**
 * Checks every tenant's chain against all heads exported so far and signs where it ends now: a file of all tenants in
 * the folder, and each tenant's own in object storage. A chain with problems is exported as it is: its earlier heads
 * keep the proof. Answers the verdicts.
 */
export async function exportHeads(deps: ExportHeadsDeps): Promise<AuditVerdict[]> {
  const { database, objects, key, headsFolder } = deps;
  while ((await linkAudit(deps)) > 0);
  const at = deps.now();
  const day = at.toISOString().slice(0, 10);
  const known = await readHeadFiles(key, headsFolder).catch((error: unknown) => {
    // Somebody's hand in the folder must not end the checks; `star audit verify` names the file.
    deps.log?.error({ err: error }, 'the exported heads of the audit log cannot be read; checked without them');
    return [];
  });
  const verdicts: AuditVerdict[] = [];
  for (const tenantId of await database.system('audit: tenants', tenantsWithAudit)) {
    const verdict = await verifyAudit(deps, tenantId, known);
    if (verdict.problemCount > 0)
      deps.log?.error(
        { tenantId, problems: verdict.problems.slice(0, 10), count: verdict.problemCount },
        'the audit log was tampered with',
      );
    verdicts.push(verdict);
  }
  // On the very first start there may be nobody yet: the day's file is left for when there is.
  if (verdicts.length === 0) return verdicts;
  const heads: AuditHead[] = verdicts.filter(({ seq }) => seq > 0).map(({ tenantId, seq, hash }) => ({ tenantId, seq, hash }));
  await writeHeads(headsFolder, day, await signHeads({ day, at: at.toISOString(), heads }, key));
  for (const head of heads)
    await objects.put(
      head.tenantId,
      objectKeys.auditHead(head.tenantId, day),
      Buffer.from(await signHeads({ day, at: at.toISOString(), heads: [head] }, key)),
      'application/jose',
    );
  for (const verdict of verdicts)
    await database.tenant(verdict.tenantId, async (tx) => {
      const before = await readCheck(tx, verdict.tenantId);
      await writeCheck(tx, verdict.tenantId, {
        checked_at: at,
        seq: verdict.intactSeq,
        problems: verdict.problemCount,
        exported_at: verdict.seq > 0 ? at : (before?.exported_at ?? null),
        exported_seq: verdict.seq > 0 ? verdict.seq : (before?.exported_seq ?? null),
      });
    });
  return verdicts;
}

/** `exportHeads` once a day, by UTC, in one replica, until `signal` aborts; a day that was missed is not made up for. */
export function keepExporting(deps: ExportHeadsDeps, signal: AbortSignal): Promise<void> {
  const work = async (_fence: number, leased: AbortSignal) => {
    while (!leased.aborted) {
      if (!(await hasHeads(deps.headsFolder, deps.now().toISOString().slice(0, 10)))) await exportHeads(deps);
      await sleep(lookEveryMs, undefined, { signal: leased }).catch(() => {});
    }
  };
  return createLeases(deps.database).lead('tenants.audit-heads', 60_000, work, signal, (error) =>
    deps.log?.warn({ err: error }, 'the heads of the audit log could not be exported and are tried again'),
  );
}

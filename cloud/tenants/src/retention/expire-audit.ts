import { type Database, keptFrom, type Log, type Retention, type SweepTenant } from '@star/platform';
import { readLinks, type StoredLink } from '../audit-chain.store';
import { type AuditCut, linkHash, noHash, type Seal, type SealChecker, sha256 } from '../audit-seal';
import { insertCut, lockLastCut, removeLines } from './audit-cut.store';

/** Two full batches of linking: wherever a page begins, a seal is in it. */
const linksAtOnce = 2000;

export interface ExpireAuditDeps {
  readonly database: Database;
  readonly retention: Retention;
  readonly seal: Seal;
  readonly now: () => Date;
  readonly log?: Log;
}

/**
 * Removes the oldest lines of a tenant's log, and writes a signed cut that says up to where, in one transaction. Only
 * from the chain's beginning on, only what stands in it as it was linked, and only up to the first line that is to stay:
 * behind a line that was tampered with nothing goes, because it is evidence.
 */
export const expireAudit =
  (deps: ExpireAuditDeps): SweepTenant =>
  async (tenantId, runId, signal) => {
    for (let more = true; more && !signal.aborted; ) more = await cutOnce(deps, tenantId, runId);
  };

/** Answers whether there may be more to cut. */
async function cutOnce({ database, retention, seal, now, log }: ExpireAuditDeps, tenantId: string, runId: string): Promise<boolean> {
  const { audit, version } = await retention.daysOf(tenantId);
  const at = now();
  const before = keptFrom(at, audit);
  return database.tenant(tenantId, async (tx) => {
    const last = await lockLastCut(tx, tenantId);
    if (last && !seal.isCutSealed(last.cut, last.signature)) throw new Error(`the cut of the audit log at place ${last.cut.seq} is forged`);
    const from = last?.cut ?? { seq: 0, hash: noHash };
    const [first] = await readLinks(tx, tenantId, from.seq, 1);
    if (!first || (first.line_at !== null && first.line_at >= before)) return false;
    const links = await readLinks(tx, tenantId, from.seq, linksAtOnce);
    const { old, tampered } = readOld(links, from, tenantId, seal, before);
    if (tampered !== undefined)
      log?.error({ tenantId, seq: tampered }, 'the audit log was tampered with; from there on nothing of it expires');
    const end = old.at(-1);
    if (!end) return false;
    const cut: AuditCut = { tenantId, seq: end.seq, hash: end.hash, cutAt: at, before, settingsVersion: version };
    await insertCut(tx, { cut, signature: seal.sealCut(cut) });
    const removed = await removeLines(tx, tenantId, from.seq, end.seq);
    // The database keeps every line for a year by its own clock: then ours is wrong.
    if (removed.items !== old.length) throw new Error('the database holds lines of the audit log for younger than Star does');
    await retention.record(tx, { tenantId, runId, kind: 'audit', at, before, settingsVersion: version, ...removed });
    return true;
  });
}

/** The links at the beginning whose lines are whole and older, as far as a seal of Star's covers them. */
function readOld(
  links: readonly StoredLink[],
  from: { readonly seq: number; readonly hash: Buffer },
  tenantId: string,
  seal: SealChecker,
  before: Date,
): { readonly old: readonly StoredLink[]; readonly tampered?: number } {
  let { seq, hash } = from;
  let old = 0;
  let sealed = 0;
  let tampered: number | undefined;
  for (const [i, link] of links.entries()) {
    const follows = link.seq === seq + 1 && linkHash(hash, tenantId, link.seq, link.line_sha256).equals(link.hash);
    const whole = link.line !== null && sha256(link.line).equals(link.line_sha256);
    const isForged = link.signature !== null && !seal.isSealed(tenantId, link.seq, link.hash, link.signature);
    if (!follows || isForged || (old === i && !whole)) {
      tampered = link.seq;
      break;
    }
    if (link.signature) sealed = i + 1;
    if (old === i && link.line_at !== null && link.line_at < before) old = i + 1;
    // Younger links are only read on for the seal that covers the older ones.
    if (old <= i && sealed >= old) break;
    ({ seq, hash } = link);
  }
  return { old: links.slice(0, Math.min(old, sealed)), ...(tampered !== undefined && { tampered }) };
}

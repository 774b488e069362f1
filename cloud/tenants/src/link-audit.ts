import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Log } from '@star/platform';
import { deleteNotes, insertLinks, lockChain, type NewLink, readChainEnds, readUnlinked, type UnlinkedLine } from './audit-chain.store';
import { linkHash, noHash, type Sealer, sha256 } from './audit-seal';

const linesAtOnce = 1000;

export interface LinkAuditDeps {
  readonly database: Database;
  readonly seal: Sealer;
}

/**
 * Links up to 1,000 committed lines of any tenants to their chains; answers how many, 0 also while another process
 * does. A line is linked in the order it was found, at most moments after its commit: until then nothing shows that it
 * was removed, which is the price for audited writes that never wait for each other.
 */
export const linkAudit = ({ database, seal }: LinkAuditDeps): Promise<number> =>
  database.system('audit: link lines', async (tx) => {
    if (!(await lockChain(tx))) return 0;
    const notes = await readUnlinked(tx, linesAtOnce);
    if (notes.length === 0) return 0;
    // A note put there by hand for a line that has its place must not keep everybody's lines from theirs.
    const lines = notes.filter((note) => !note.linked);
    const ends = new Map((await readChainEnds(tx, [...new Set(lines.map((line) => line.tenant_id))])).map((end) => [end.tenant_id, end]));
    const links: NewLink[] = [];
    for (const [tenantId, own] of byTenant(lines)) links.push(...linked(tenantId, own, ends.get(tenantId), seal));
    await insertLinks(tx, links);
    await deleteNotes(tx, notes);
    return notes.length;
  });

function linked(tenantId: string, lines: readonly UnlinkedLine[], end: { seq: number; hash: Buffer } | undefined, seal: Sealer): NewLink[] {
  let { seq, hash } = end ?? { seq: 0, hash: noHash };
  return lines.map(({ audit_id, line }, i) => {
    seq += 1;
    // A line that went before it was linked keeps its place, so that it is missed.
    const lineSha256 = sha256(line ?? '');
    hash = linkHash(hash, tenantId, seq, lineSha256);
    const signature = i === lines.length - 1 ? seal.seal(tenantId, seq, hash) : null;
    return { tenantId, seq, auditId: audit_id, lineSha256, hash, signature };
  });
}

function byTenant(lines: readonly UnlinkedLine[]): Map<string, UnlinkedLine[]> {
  const groups = new Map<string, UnlinkedLine[]>();
  for (const line of lines) groups.set(line.tenant_id, [...(groups.get(line.tenant_id) ?? []), line]);
  return groups;
}

/** Links what there is, then looks again every second, until `signal` aborts. Start it in every replica: one works at a time. */
export async function keepLinking(deps: LinkAuditDeps & { log?: Log }, signal: AbortSignal, everyMs = 1000): Promise<void> {
  while (!signal.aborted) {
    const lines = await linkAudit(deps).catch((error: unknown) => {
      deps.log?.warn({ err: error }, 'audit lines could not be linked and are tried again');
      return 0;
    });
    if (lines < linesAtOnce) await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

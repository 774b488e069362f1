import type { Database } from '@star/platform';
import { readLinks, readLoose, type StoredLink } from './audit-chain.store';
import { type AuditCut, linkHash, noHash, type SealChecker, sha256 } from './audit-seal';
import { listCuts, type StoredCut } from './retention/audit-cut.store';

/** A signed end of a chain, as it was exported. */
export interface AuditHead {
  readonly tenantId: string;
  readonly seq: number;
  /** Hex. */
  readonly hash: string;
  /** Of the export. */
  readonly day?: string;
}

export type AuditProblem =
  /** The line of a link is gone. */
  | { readonly kind: 'line_removed'; readonly seq: number; readonly auditId: number }
  /** The line says something else than when it was linked. */
  | { readonly kind: 'line_altered'; readonly seq: number; readonly auditId: number }
  /** A line stands in the log that was never linked: its link was cut off, or it was added by hand. */
  | { readonly kind: 'line_unlinked'; readonly auditId: number }
  /** Lines wait for their places far longer than they ever should: somebody keeps Star from linking, and could alter them. */
  | { readonly kind: 'lines_held_up'; readonly count: number; readonly since: Date }
  /** Links from `seq` to `toSeq` are gone. */
  | { readonly kind: 'links_removed'; readonly seq: number; readonly toSeq: number }
  /** The link does not follow from the one before: links were altered or changed places. */
  | { readonly kind: 'link_broken'; readonly seq: number; readonly auditId: number }
  /** Star did not sign this end: the chain was made anew. */
  | { readonly kind: 'seal_invalid'; readonly seq: number }
  /** An exported head has more lines than there are. */
  | { readonly kind: 'cut_off'; readonly seq: number; readonly toSeq: number }
  /** An exported head knows this place with another hash. */
  | { readonly kind: 'head_differs'; readonly seq: number }
  /** A cut by retention that Star did not sign, or that does not belong to this chain. */
  | { readonly kind: 'cut_invalid'; readonly seq: number };

export interface AuditVerdict {
  readonly tenantId: string;
  /** Links looked at. */
  readonly links: number;
  /** The last place of the chain. */
  readonly seq: number;
  readonly hash: string;
  /** Up to here everything is as it was. */
  readonly intactSeq: number;
  /** Committed moments ago, not linked yet. */
  readonly waiting: number;
  /** Up to where retention removed lines, by the last cut that Star signed. */
  readonly cut: Pick<AuditCut, 'seq' | 'cutAt' | 'before' | 'settingsVersion'> | null;
  /** The first thousand. */
  readonly problems: readonly AuditProblem[];
  readonly problemCount: number;
}

const pageLinks = 2000;
const maxProblems = 1000;
/** Between the oldest line that waits and the newest there is; linking takes a second. Nothing is said of a Star that was ended. */
const longestWaitMs = 3_600_000;

interface VerifyDeps {
  readonly database: Database;
  readonly seal: SealChecker;
}

/**
 * Reads a tenant's whole chain with its lines, a page at a time, and names whatever is not as it was linked, against
 * the exported heads as well. Lines may be missing up to a cut that Star signed; their links may not. Needs no lock: links
 * are only ever added, and what retention cut while this read is read again. Memory is flat.
 */
export async function verifyAudit(deps: VerifyDeps, tenantId: string, heads: readonly AuditHead[] = []): Promise<AuditVerdict> {
  const cutsNow = () => deps.database.tenant(tenantId, (tx) => listCuts(tx, tenantId));
  for (let cuts = await cutsNow(); ; ) {
    const verdict = await verifyOnce(deps, tenantId, heads, cuts);
    const later = verdict.problemCount > 0 ? await cutsNow() : cuts;
    if (later.length === cuts.length) return verdict;
    cuts = later;
  }
}

async function verifyOnce(
  deps: VerifyDeps,
  tenantId: string,
  heads: readonly AuditHead[],
  cuts: readonly StoredCut[],
): Promise<AuditVerdict> {
  const signed = cuts.filter(({ cut, signature }) => deps.seal.isCutSealed(cut, signature)).map(({ cut }) => cut);
  const walk = createWalk(deps.seal, tenantId, heads, signed);
  for (const { cut } of cuts) if (!signed.includes(cut)) walk.note({ kind: 'cut_invalid', seq: cut.seq });
  for (let more = true; more; ) {
    const page = await deps.database.tenant(tenantId, (tx) => readLinks(tx, tenantId, walk.seq(), pageLinks));
    for (const link of page) walk.take(link);
    more = page.length === pageLinks;
  }
  walk.end();
  const { loose, waiting, since, newest } = await deps.database.tenant(tenantId, (tx) => readLoose(tx, tenantId, maxProblems));
  for (const auditId of loose) walk.note({ kind: 'line_unlinked', auditId });
  if (since && newest && newest.getTime() - since.getTime() > longestWaitMs) walk.note({ kind: 'lines_held_up', count: waiting, since });
  return { ...walk.verdict(), waiting };
}

/** The verdict on a chain, link by link. */
function createWalk(seal: SealChecker, tenantId: string, heads: readonly AuditHead[], cuts: readonly AuditCut[]) {
  const problems: AuditProblem[] = [];
  const expected = new Map<number, Set<string>>();
  for (const head of heads.filter((each) => each.tenantId === tenantId))
    expected.set(head.seq, (expected.get(head.seq) ?? new Set()).add(head.hash));
  const cut = cuts.at(-1);
  const cutAt = new Map(cuts.map((each) => [each.seq, each.hash]));
  let problemCount = 0;
  let links = 0;
  let seq = 0;
  let hash: Buffer = noHash;
  let lastSealed = true;
  let firstWrong = Number.POSITIVE_INFINITY;
  const note = (problem: AuditProblem) => {
    problemCount += 1;
    if ('seq' in problem) firstWrong = Math.min(firstWrong, problem.seq);
    if (problems.length < maxProblems) problems.push(problem);
  };
  const takeLine = ({ seq: at, audit_id: auditId, line, line_sha256 }: StoredLink) => {
    if (line === null && cut && at <= cut.seq) return;
    if (line === null) note({ kind: 'line_removed', seq: at, auditId });
    else if (!sha256(line).equals(line_sha256)) note({ kind: 'line_altered', seq: at, auditId });
  };
  const takeSeal = (link: StoredLink) => {
    lastSealed = link.signature !== null;
    if (link.signature && !seal.isSealed(tenantId, link.seq, link.hash, link.signature)) note({ kind: 'seal_invalid', seq: link.seq });
    if (cutAt.get(link.seq)?.equals(link.hash) === false) note({ kind: 'cut_invalid', seq: link.seq });
    const known = expected.get(link.seq);
    if (known && !(known.size === 1 && known.has(link.hash.toString('hex')))) note({ kind: 'head_differs', seq: link.seq });
  };
  return {
    seq: () => seq,
    note,
    take: (link: StoredLink) => {
      links += 1;
      takeLine(link);
      // After a gap the hash before is unknown, so the next link can only be believed.
      if (link.seq !== seq + 1) note({ kind: 'links_removed', seq: seq + 1, toSeq: link.seq - 1 });
      else if (!linkHash(hash, tenantId, link.seq, link.line_sha256).equals(link.hash))
        note({ kind: 'link_broken', seq: link.seq, auditId: link.audit_id });
      takeSeal(link);
      ({ seq, hash } = link);
    },
    end: () => {
      // Links are written in batches whose last one is sealed, so a chain that ends elsewhere has lost its end.
      if (!lastSealed) note({ kind: 'seal_invalid', seq });
      const longest = Math.max(0, cut?.seq ?? 0, ...expected.keys());
      if (longest > seq) note({ kind: 'cut_off', seq: seq + 1, toSeq: longest });
    },
    verdict: () => ({
      tenantId,
      links,
      seq,
      hash: hash.toString('hex'),
      cut: cut ?? null,
      intactSeq: Math.min(seq, firstWrong - 1),
      problems,
      problemCount,
    }),
  };
}

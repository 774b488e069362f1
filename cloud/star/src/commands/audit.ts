import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadSigningKey } from '@star/platform';
import { type AuditProblem, type AuditVerdict, createSealChecker, listAuditTenants, readHeadFiles, verifyAudit } from '@star/tenants';
import { auditHeadsFolder, auditKeyPath } from '../secrets';
import { type Command, type CommandContext, UsageError } from './command';
import { withDatabase } from './with-database';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * `star audit verify`: every line of every tenant's log against its chain, the seals, all exported heads and those in
 * `--head` files. Exit status 0: whole; 1: tampered with, each finding is a line; 2: could not be checked.
 */
export const auditCommand: Command = {
  usage: ['audit verify [--tenant <id>] [--head <file>]...'],
  async run([verb, ...args], context) {
    if (verb !== 'verify') throw new UsageError(`star audit ${verb ?? ''}: there is only verify`);
    const { values } = parseArgs({
      args,
      options: { tenant: { type: 'string' }, head: { type: 'string', multiple: true } },
    });
    if (values.tenant !== undefined && !uuid.test(values.tenant)) throw new UsageError('--tenant takes the id of a tenant');
    return verify(context, values.tenant?.toLowerCase(), values.head ?? []);
  },
};

async function verify({ settings, say }: CommandContext, only: string | undefined, files: readonly string[]): Promise<number> {
  const keyPath = auditKeyPath(settings.STAR_DATA);
  // Loading would make a new one, with which every seal is wrong.
  if (!existsSync(keyPath))
    throw new Error(`${settings.STAR_DATA} is no data folder of a Star that has run: it has no key of the audit log`);
  const key = await loadSigningKey(keyPath);
  const heads = await readHeadFiles(key, auditHeadsFolder(settings.STAR_DATA), files);
  return withDatabase(settings, async (database) => {
    const there = await listAuditTenants(database);
    // A tenant that only an exported head still knows lost its whole log.
    const tenants = only ? [only] : [...new Set([...there, ...heads.map((head) => head.tenantId)])].sort();
    let tampered = 0;
    for (const tenantId of tenants) {
      const verdict = await verifyAudit({ database, seal: createSealChecker(key) }, tenantId, heads);
      for (const line of shown(verdict)) say(line);
      if (verdict.problemCount > 0) tampered += 1;
    }
    // Whoever removed the newer files cut off the end before: the reader knows what day it is.
    const newest = heads.map((head) => head.day).reduce((latest = '', day = '') => (day > latest ? day : latest), '');
    const against = heads.length > 0 ? `${heads.length} exported heads, the newest of ${newest}` : 'no exported head';
    say(`${tenants.length} tenants checked against ${against}; ${tampered} tampered with`);
    return tampered > 0 ? 1 : 0;
  });
}

function shown(verdict: AuditVerdict): string[] {
  const { tenantId, seq, hash, problems, problemCount, waiting, cut } = verdict;
  const more = problemCount - problems.length;
  return [
    `tenant ${tenantId}: ${seq} lines, ${problemCount === 0 ? 'whole' : `${problemCount} problems, whole up to ${verdict.intactSeq}`}${waiting > 0 ? `, ${waiting} not linked yet` : ''}, head ${hash}`,
    ...(cut
      ? [
          `  cut by retention up to line ${cut.seq} on ${cut.cutAt.toISOString()}: all older than ${cut.before.toISOString()} (settings version ${cut.settingsVersion})`,
        ]
      : []),
    ...problems.map((problem) => `  ${named(problem)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

const span = (from: number, to: number) => (from === to ? `${from}` : `${from} to ${to}`);

/** One finding in words. */
export function named(problem: AuditProblem): string {
  switch (problem.kind) {
    case 'line_removed':
      return `line ${problem.auditId} (place ${problem.seq}) was removed`;
    case 'line_altered':
      return `line ${problem.auditId} (place ${problem.seq}) was altered`;
    case 'line_unlinked':
      return `line ${problem.auditId} is in no chain: its link was removed, or it was added behind Star's back`;
    case 'lines_held_up':
      return `${problem.count} lines from ${problem.since.toISOString()} on are in no chain yet: Star was kept from linking them`;
    case 'links_removed':
      return `places ${span(problem.seq, problem.toSeq)} were removed from the chain`;
    case 'link_broken':
      return `place ${problem.seq} (line ${problem.auditId}) does not follow from the one before: altered or moved`;
    case 'seal_invalid':
      return `place ${problem.seq} is not sealed by Star: the chain was cut off or made anew there`;
    case 'cut_off':
      return `places ${span(problem.seq, problem.toSeq)} were cut off: an exported head has them`;
    case 'head_differs':
      return `place ${problem.seq} is not what was exported: the chain was made anew`;
    case 'cut_invalid':
      return `the cut by retention at place ${problem.seq} is not Star's, or not of this chain: lines were removed by somebody else`;
  }
}

import { type Database, type Log, type Objects, type SigningKey, sweepTenants } from '@star/platform';
import { createSeal } from './audit-seal';
import { exportHeads, keepExporting } from './export-heads';
import { keepLinking, linkAudit } from './link-audit';
import { exportAudit, readAudit, readChainState } from './read-audit';
import { createRetention } from './retention/create-retention';
import { keepRetention, tenantsSweep } from './retention/keep-retention';
import { readRemovals } from './retention/read-removals';

export interface AuditOptions {
  readonly database: Database;
  readonly objects: Objects;
  /** Signs the ends of chains; a key of its own, so that the one for tokens can be changed. */
  readonly key: SigningKey;
  /** Where the daily heads are written for an operator to keep elsewhere. */
  readonly headsFolder: string;
  readonly now?: () => Date;
  readonly log?: Log;
}

/** Reading, linking, checking, exporting and cutting the audit log, and the report of what expired. Nothing runs until `run`. */
export function createAudit(options: AuditOptions) {
  const deps = { ...options, now: options.now ?? (() => new Date()), seal: createSeal(options.key), retention: createRetention(options) };
  return {
    readAudit: readAudit(deps),
    exportAudit: exportAudit(deps),
    readChainState: readChainState(deps),
    linkAudit: () => linkAudit(deps),
    exportHeads: () => exportHeads(deps),
    readRemovals: readRemovals(deps),
    /** One sweep of what is past its time. */
    expire: (signal: AbortSignal) => sweepTenants(tenantsSweep(deps), signal),
    /** Links lines as they come, exports the heads once a day and lets lines expire, until `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      await Promise.all([keepLinking(deps, signal), keepExporting(deps, signal), keepRetention(deps, signal)]);
    },
  };
}

export type Audit = ReturnType<typeof createAudit>;

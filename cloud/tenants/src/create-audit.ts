import type { Database, Log, Objects, SigningKey } from '@star/platform';
import { createSeal } from './audit-seal';
import { exportHeads, keepExporting } from './export-heads';
import { keepLinking, linkAudit } from './link-audit';
import { exportAudit, readAudit, readChainState } from './read-audit';

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

/** Reading, linking, checking and exporting the audit log. Nothing runs until `run`. */
export function createAudit(options: AuditOptions) {
  const deps = { ...options, now: options.now ?? (() => new Date()), seal: createSeal(options.key) };
  return {
    readAudit: readAudit(deps),
    exportAudit: exportAudit(deps),
    readChainState: readChainState(deps),
    linkAudit: () => linkAudit(deps),
    exportHeads: () => exportHeads(deps),
    /** Links lines as they come and exports the heads once a day, until `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      await Promise.all([keepLinking(deps, signal), keepExporting(deps, signal)]);
    },
  };
}

export type Audit = ReturnType<typeof createAudit>;

import type { Tx } from '../postgres/database';

const dayMs = 86_400_000;

/** What a sweep removes, by the word its report uses. */
export type RemovalKind = 'matches' | 'crops' | 'photos' | 'rejectedReports' | 'calls' | 'exports' | 'audit';

/** Days, as the tenant's settings say at this moment, and which version of them. */
export interface RetentionDays {
  readonly version: number;
  readonly matches: number;
  readonly crops: number;
  readonly photos: number;
  readonly telemetry: number;
  readonly audit: number;
}

export interface Removal {
  readonly tenantId: string;
  /** Of the sweep: what it removes of a kind, in however many batches, is one line of the report. */
  readonly runId: string;
  readonly kind: RemovalKind;
  /** When the batch was removed, and what it was older than. */
  readonly at: Date;
  readonly before: Date;
  /** NULL where the days are the installation's and no tenant's. */
  readonly settingsVersion: number | null;
  readonly items: number;
  /** Of objects and bodies; 0 where a store does not tell. */
  readonly bytes: number;
}

/** What services need in order to let things expire. */
export interface Retention {
  /** Every tenant whose things are kept. */
  tenants(): Promise<string[]>;
  /** From the table, past every cache: a setting that was raised a moment ago must not be too late. */
  daysOf(tenantId: string): Promise<RetentionDays>;
  /** In the transaction that removes it, so that neither is without the other. Of nothing there is no report. */
  record(tx: Tx, removal: Removal): Promise<void>;
}

/**
 * Things go by whole UTC days: from this moment on they stay. It is the beginning of the day that lies `days` back, so
 * that nothing goes before its time and a sweep finds new work once a day.
 */
export const keptFrom = (now: Date, days: number): Date => new Date(Math.floor(now.getTime() / dayMs - days) * dayMs);

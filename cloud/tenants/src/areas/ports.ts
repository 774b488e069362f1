import type { Tx } from '@star/platform';

/** What hangs on one area itself. */
export interface Hanging {
  readonly edges: number;
  readonly cameras: number;
  readonly provisioningKeys: number;
}

/**
 * What another service hangs on areas. Its functions run in the transaction of the tree's change, so that a merge moves
 * everything or nothing, whatever dies in between (docs/adr/0012).
 */
export interface HangsOnAreas {
  /** By area; those with nothing may be left out. */
  count(tx: Tx, tenantId: string, areaIds: readonly string[]): Promise<ReadonlyMap<string, Hanging>>;
  moveAll(tx: Tx, tenantId: string, fromAreaId: string, toAreaId: string): Promise<void>;
}

import type { AreasVisibleTo, Tx } from '@star/platform';
import type { AreaKind } from '@stardipper/proto';
import { devicesErrors } from './devices.errors';

export interface HeldArea {
  readonly id: string;
  readonly kind: AreaKind;
  /** Ids from the top of the tree down to it, itself included. */
  readonly path: readonly string[];
}

/** What devices asks of the tenants service about areas. */
export interface AreasPort {
  /** The area, or what it was merged into, kept in place until the transaction ends; undefined when the tenant has none such. */
  readonly holdArea: (tx: Tx, areaId: string) => Promise<HeldArea | undefined>;
  readonly areasVisibleTo: AreasVisibleTo;
}

/** An area that a box may stand in. Throws `area.unknown`, `area.kind_unfit`. */
export async function holdEdgeArea({ holdArea }: AreasPort, tx: Tx, areaId: string): Promise<HeldArea> {
  const area = await holdArea(tx, areaId);
  if (!area) throw devicesErrors.error('area.unknown', { areaId });
  if (area.kind === 'region') throw devicesErrors.error('area.kind_unfit', { kind: area.kind });
  return area;
}

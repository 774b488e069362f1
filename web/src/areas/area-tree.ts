import type { Area, AreaKind } from '@stardipper/proto';
import { areaParents } from '@stardipper/proto/rules';

export interface AreaNode {
  id: string;
  label: string;
  area: Area;
  children: AreaNode[];
  /** On this area and everything below it. */
  edges: number;
  cameras: number;
}

/** Siblings by name. An area whose parent is not in the list stands at the top. */
export function treeOf(areas: readonly Area[]): AreaNode[] {
  const known = new Set(areas.map((area) => area.id));
  const below = (parentId: string | null): AreaNode[] =>
    areas
      .filter((area) => (area.parentId !== null && known.has(area.parentId) ? area.parentId : null) === parentId)
      .sort((a, b) => a.name.localeCompare(b.name))
      .map((area) => {
        const children = below(area.id);
        const sum = (what: 'edges' | 'cameras') => children.reduce((all, child) => all + child[what], area[what]);
        return { id: area.id, label: area.name, area, children, edges: sum('edges'), cameras: sum('cameras') };
      });
  return below(null);
}

/** From the top down to the area, itself included; empty when it is not in the list. */
export function lineTo(areas: readonly Area[], id: string | null): Area[] {
  const line: Area[] = [];
  for (let next = id; next !== null; ) {
    const area = areas.find((each) => each.id === next);
    if (!area || line.includes(area)) break;
    line.unshift(area);
    next = area.parentId;
  }
  return line;
}

/** As people say where something is: `Riverside / East court`. */
export const pathOf = (areas: readonly Area[], id: string): string =>
  lineTo(areas, id)
    .map((area) => area.name)
    .join(' / ');

export const mayHang = (kind: AreaKind, parentKind: AreaKind | null): boolean => areaParents[kind].includes(parentKind);

export const kindsBelow = (parentKind: AreaKind | null): AreaKind[] =>
  (Object.keys(areaParents) as AreaKind[]).filter((kind) => mayHang(kind, parentKind));

const within = (areas: readonly Area[], id: string, top: string): boolean => lineTo(areas, id).some((area) => area.id === top);

/** Where the area can be moved to; null is the top of the tree. */
export const placesFor = (areas: readonly Area[], moved: Area, topToo: boolean): (Area | null)[] => [
  ...(topToo && moved.parentId !== null && mayHang(moved.kind, null) ? [null] : []),
  ...areas.filter(
    (area) => area.writable && area.id !== moved.parentId && mayHang(moved.kind, area.kind) && !within(areas, area.id, moved.id),
  ),
];

/** What the area can be merged into. */
export const mergeTargets = (areas: readonly Area[], merged: Area): Area[] =>
  areas.filter(
    (area) => area.writable && area.kind === merged.kind && !within(areas, area.id, merged.id) && !within(areas, merged.id, area.id),
  );

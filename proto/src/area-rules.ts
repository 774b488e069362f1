import type { Role } from './policy/permissions';

/** A region is below a region or at the top, a community below a region or at the top, a building below a community. */
export const areaKinds = ['region', 'community', 'building'] as const;
export type AreaKind = (typeof areaKinds)[number];

/** What an area may be below; null is the top of the tree. */
export const areaParents: Readonly<Record<AreaKind, readonly (AreaKind | null)[]>> = {
  region: ['region', null],
  community: ['region', null],
  building: ['community'],
};

/** Those of the platform are nobody's to give within a tenant. */
export const grantableRoles = ['tenant-admin', 'operator', 'viewer', 'auditor'] as const satisfies readonly Role[];

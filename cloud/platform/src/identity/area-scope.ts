import type { Permission } from '@stardipper/proto';
import type { Caller } from './identity';

/** Where in the tenant somebody holds a permission: everywhere, or on these areas (those below are listed, too). */
export type AreaScope = 'all' | ReadonlySet<string>;

/** What a service asks before it shows or changes what hangs on areas. An empty set: nowhere. */
export type AreasVisibleTo = (caller: Caller, permission: Permission) => Promise<AreaScope>;

export const inScope = (scope: AreaScope, areaId: string): boolean => scope === 'all' || scope.has(areaId);

/** As a parameter of `($n::uuid[] IS NULL OR area_id = ANY ($n))`. */
export const scopeIds = (scope: AreaScope): string[] | null => (scope === 'all' ? null : [...scope]);

/** Realm role names, as in the tokens' `realm_access.roles`. */
export const roles = ['platform-operator', 'platform-finance', 'tenant-admin', 'operator', 'viewer', 'auditor'] as const;
export type Role = (typeof roles)[number];

/** What a route asks for. A permission is about a kind of thing, never about one thing: whose it is, row-level security decides. */
export const permissions = [
  'tenants.read',
  'tenants.write',
  'settings.read',
  'settings.write',
  'areas.read',
  'areas.write',
  'edges.read',
  'edges.write',
  'software.read',
  'software.write',
  'people.read',
  'people.write',
  'searches.read',
  'searches.write',
  'audit.read',
] as const;
export type Permission = (typeof permissions)[number];

const look = ['areas.read', 'edges.read', 'software.read'] as const;

/**
 * Who holds what. A tenant's administrator looks after boxes and users and sees nobody's face: who does both has both roles.
 * Those of the platform see no tenant's things at all.
 */
export const permissionsOfRole: Readonly<Record<Role, readonly Permission[]>> = {
  'platform-operator': ['tenants.read', 'tenants.write'],
  'platform-finance': ['tenants.read'],
  'tenant-admin': [...look, 'settings.read', 'settings.write', 'areas.write', 'edges.write', 'software.write', 'audit.read'],
  operator: [...look, 'people.read', 'people.write', 'searches.read', 'searches.write'],
  viewer: [...look, 'people.read', 'searches.read'],
  auditor: [...look, 'searches.read', 'audit.read'],
};

const isRole = (name: string): name is Role => (roles as readonly string[]).includes(name);

/** Everything these roles hold together; names that are no role of ours hold nothing. */
export const permissionsOf = (held: readonly string[]): ReadonlySet<Permission> =>
  new Set(held.filter(isRole).flatMap((role) => permissionsOfRole[role]));

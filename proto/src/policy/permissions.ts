/** Realm role names, as in the tokens' `realm_access.roles`. */
export const roles = ['platform-operator', 'platform-finance', 'tenant-admin', 'operator', 'viewer', 'auditor'] as const;
export type Role = (typeof roles)[number];

/** What a route asks for. A permission is about a kind of thing, never about one thing: whose it is, row-level security decides. */
export const permissions = [
  'tenants.read',
  'tenants.write',
  'users.read',
  'users.write',
  'settings.read',
  'settings.write',
  'areas.read',
  'areas.write',
  'grants.read',
  'grants.write',
  'edges.read',
  'edges.write',
  'software.read',
  'software.write',
  'people.read',
  'people.write',
  'deletions.read',
  'searches.read',
  'searches.write',
  'searches.approve',
  'searches.rules',
  'keys.read',
  'keys.write',
  'audit.read',
] as const;
export type Permission = (typeof permissions)[number];

const look = ['areas.read', 'edges.read', 'software.read', 'deletions.read'] as const;

/**
 * Who holds what. A tenant's administrator looks after boxes and users and sees nobody's face: who does both has both roles.
 * Those of the platform see no tenant's things at all; its operator looks after the users of the platform's own tenant.
 */
export const permissionsOfRole: Readonly<Record<Role, readonly Permission[]>> = {
  'platform-operator': ['tenants.read', 'tenants.write', 'users.read', 'users.write'],
  'platform-finance': ['tenants.read'],
  'tenant-admin': [
    ...look,
    'users.read',
    'users.write',
    'settings.read',
    'settings.write',
    'areas.write',
    'grants.read',
    'grants.write',
    'edges.write',
    'software.write',
    'searches.approve',
    'searches.rules',
    'keys.read',
    'keys.write',
    'audit.read',
  ],
  operator: [...look, 'people.read', 'people.write', 'searches.read', 'searches.write', 'searches.approve'],
  viewer: [...look, 'people.read', 'searches.read'],
  auditor: [...look, 'grants.read', 'searches.read', 'keys.read', 'audit.read'],
};

const isRole = (name: string): name is Role => (roles as readonly string[]).includes(name);

/** The provider's own tenant, the same in every installation: whose users open and look after all the others. */
export const platformTenantId = '00000000-0000-4000-8000-000000000000';
/** The customer that an installation opens for itself at its first start, where it is told to. */
export const firstTenantId = '00000000-0000-4000-8000-000000000001';

/** A tenant's people have no role of the platform, whatever an identity provider was made to say. */
export const rolesWithin = (tenantId: string, held: readonly string[]): readonly string[] =>
  tenantId === platformTenantId ? held : held.filter((role) => !role.startsWith('platform-'));

/** Everything these roles hold together; names that are no role of ours hold nothing. */
export const permissionsOf = (held: readonly string[]): ReadonlySet<Permission> =>
  new Set(held.filter(isRole).flatMap((role) => permissionsOfRole[role]));

/** About the provider's things, or about who may do what: a program is never given these. */
const forPeopleOnly = /^(tenants|keys|users|grants)\.|^searches\.(approve|rules)$/;

/** What an API key may be given, by somebody who holds it. */
export const grantable: readonly Permission[] = permissions.filter((permission) => !forPeopleOnly.test(permission));

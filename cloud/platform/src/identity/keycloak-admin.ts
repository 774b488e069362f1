import { isUsername, roles as starRoles } from '@stardipper/proto';
import { z } from 'zod';
import { type IdentityAdmin, identityErrors, type NewUser, type User } from './identity-admin';
import { type AdminAnswer, type CallAdmin, type KeycloakAdminOptions, keycloakClient } from './keycloak-client';

/** As the realm's password policy says. */
const passwordLength = { atLeast: 8, atMost: 256 };
const cursorForm = /^[A-Za-z0-9_-]{1,64}$/;
/** Users whose roles are asked for at once, for a page of a list. */
const atOnce = 8;

/** Keycloak's UserRepresentation, as much as is used. */
const representation = z.looseObject({
  id: z.string(),
  username: z.string(),
  firstName: z.string().optional(),
  email: z.string().optional(),
  enabled: z.boolean().default(false),
  totp: z.boolean().default(false),
  createdTimestamp: z.number().default(0),
  requiredActions: z.array(z.string()).default([]),
  attributes: z.record(z.string(), z.array(z.string())).default({}),
});
type Representation = z.infer<typeof representation>;
const roleRepresentations = z.array(z.object({ id: z.string(), name: z.string() }));

/** The attribute of a user whose making was not finished: whoever makes it again goes on. */
const unfinished = 'star_unfinished';
const factorRequired = 'star_second_factor_required';
const enrolFactor = 'CONFIGURE_TOTP';
const changePassword = 'UPDATE_PASSWORD';

/**
 * Users in a Keycloak realm, through its admin REST. The realm is that of `cloud/identity/keycloak/star-realm.json`: a
 * user's tenant is an attribute that users themselves can neither see nor change. Names are lower-cased by Keycloak.
 */
export function createKeycloakAdmin(options: KeycloakAdminOptions): IdentityAdmin {
  const call = keycloakClient(options);
  return {
    createUser: (user) => createUser(call, user),
    findUser: async (by) => {
      const found = 'userId' in by ? await byId(call, by.userId) : await byName(call, by.username);
      return found && userOf(call, found);
    },
    listUsers: (tenantId, page) => listUsers(call, tenantId, page),
    setProfile: (userId, { displayName, email }) =>
      change(call, userId, (user) => ({ ...user, firstName: displayName, ...(email !== undefined && { email: email ?? '' }) })),
    setRoles: async (userId, roles) => {
      await known(call, userId);
      await giveRoles(call, userId, roles);
    },
    setEnabled: async (userId, enabled) => {
      await change(call, userId, (user) => ({ ...user, enabled }));
      if (!enabled) await endSessions(call, userId);
    },
    setPassword: async (userId, password, { temporary }) => {
      checkPassword(password);
      const body = { type: 'password', value: password, temporary };
      const answer = await call('PUT', `${path(userId)}/reset-password`, body);
      if (answer.status === 400) throw identityErrors.error('user.password_refused', passwordLength);
      expect(answer, 204);
      await call('DELETE', `/attack-detection/brute-force${path(userId)}`);
      await endSessions(call, userId);
    },
    requireSecondFactor: (userId, required) =>
      change(call, userId, (user) => ({
        ...user,
        requiredActions: actions(user, required && !user.totp),
        attributes: { ...user.attributes, [factorRequired]: [String(required)] },
      })),
    resetSecondFactor: async (userId) => {
      await known(call, userId);
      const credentials = z
        .array(z.object({ id: z.string(), type: z.string() }))
        .parse((await call('GET', `${path(userId)}/credentials`)).body);
      for (const { id, type } of credentials)
        if (type !== 'password') expect(await call('DELETE', `${path(userId)}/credentials/${encodeURIComponent(id)}`), 204, 404);
      await change(call, userId, (user) => ({ ...user, requiredActions: actions(user, user.attributes[factorRequired]?.[0] === 'true') }));
      await endSessions(call, userId);
    },
    endSessions: (userId) => endSessions(call, userId),
    deleteUser: async (userId) => {
      expect(await call('DELETE', path(userId)), 204, 404);
    },
  };
}

const path = (userId: string) => `/users/${encodeURIComponent(userId)}`;

/** 404 is always the user. */
function expect(answer: AdminAnswer, ...statuses: number[]): void {
  if (statuses.includes(answer.status)) return;
  if (answer.status === 404) throw identityErrors.error('user.not_found');
  throw identityErrors.error('identity.unavailable', {}, new Error(`HTTP ${answer.status}: ${JSON.stringify(answer.body)}`));
}

async function byId(call: CallAdmin, userId: string): Promise<Representation | undefined> {
  const answer = await call('GET', path(userId));
  if (answer.status === 404) return undefined;
  expect(answer, 200);
  return representation.parse(answer.body);
}

async function known(call: CallAdmin, userId: string): Promise<Representation> {
  const user = await byId(call, userId);
  if (!user) throw identityErrors.error('user.not_found');
  return user;
}

async function byName(call: CallAdmin, username: string): Promise<Representation | undefined> {
  const answer = await call('GET', `/users?${new URLSearchParams({ username, exact: 'true', briefRepresentation: 'false' })}`);
  expect(answer, 200);
  return z.array(representation).parse(answer.body)[0];
}

/** Read, change, write: Keycloak replaces what a PUT names, and all attributes at once. */
async function change(call: CallAdmin, userId: string, changed: (user: Representation) => Representation): Promise<void> {
  expect(await call('PUT', path(userId), changed(await known(call, userId))), 204);
}

const actions = ({ requiredActions }: Representation, enrol: boolean): string[] => [
  ...requiredActions.filter((each) => each !== enrolFactor),
  ...(enrol ? [enrolFactor] : []),
];

async function endSessions(call: CallAdmin, userId: string): Promise<void> {
  expect(await call('POST', `${path(userId)}/logout`), 204);
}

function checkPassword(password: string): void {
  const { length } = [...password];
  if (length < passwordLength.atLeast || length > passwordLength.atMost)
    throw identityErrors.error('user.password_refused', passwordLength);
}

/** The user is made disabled, given roles, then enabled: one whose maker died in between can do nothing. */
async function createUser(call: CallAdmin, user: NewUser): Promise<{ userId: string; created: boolean }> {
  const { tenantId, username, displayName, email, roles, password, temporary, secondFactorRequired } = user;
  if (!isUsername(username)) throw identityErrors.error('user.username_invalid');
  if (password !== undefined) checkPassword(password);
  const answer = await call('POST', '/users', {
    username,
    enabled: false,
    firstName: displayName,
    ...(email !== undefined && { email }),
    attributes: { tenant_id: [tenantId], [unfinished]: ['true'], [factorRequired]: [String(secondFactorRequired === true)] },
    requiredActions: secondFactorRequired ? [enrolFactor] : [],
    ...(password !== undefined && { credentials: [{ type: 'password', value: password, temporary: temporary === true }] }),
  });
  if (answer.status === 400 && /password/i.test(JSON.stringify(answer.body)))
    throw identityErrors.error('user.password_refused', passwordLength);
  expect(answer, 201, 409);
  const there = await byName(call, username);
  if (!there) throw identityErrors.error('identity.unavailable', {}, new Error('the user that was made is not there'));
  if (there.attributes.tenant_id?.[0] !== tenantId) throw identityErrors.error('user.username_taken', { username });
  const created = answer.status === 201;
  if (created || there.attributes[unfinished]) {
    await giveRoles(call, there.id, roles);
    const { [unfinished]: _, ...attributes } = there.attributes;
    expect(await call('PUT', path(there.id), { ...there, enabled: true, attributes }), 204);
  }
  return { userId: there.id, created };
}

/** Exactly these of Star's roles; roles of others (`offline_access`) are left alone. */
async function giveRoles(call: CallAdmin, userId: string, wanted: readonly string[]): Promise<void> {
  const all = roleRepresentations.parse((await call('GET', '/roles?max=1000')).body);
  const ours = all.filter(({ name }) => (starRoles as readonly string[]).includes(name));
  const held = await rolesOf(call, userId);
  const give = ours.filter(({ name }) => wanted.includes(name) && !held.includes(name));
  const take = ours.filter(({ name }) => !wanted.includes(name) && held.includes(name));
  const missing = wanted.filter((name) => !ours.some((each) => each.name === name));
  if (missing.length > 0) throw identityErrors.error('identity.unavailable', {}, new Error(`the realm has no role ${missing.join(', ')}`));
  const mappings = `${path(userId)}/role-mappings/realm`;
  if (give.length > 0) expect(await call('POST', mappings, give), 204);
  if (take.length > 0) expect(await call('DELETE', mappings, take), 204);
}

async function rolesOf(call: CallAdmin, userId: string): Promise<string[]> {
  const answer = await call('GET', `${path(userId)}/role-mappings/realm`);
  expect(answer, 200);
  return roleRepresentations
    .parse(answer.body)
    .map(({ name }) => name)
    .filter((name) => (starRoles as readonly string[]).includes(name));
}

async function userOf(call: CallAdmin, user: Representation): Promise<User> {
  return {
    userId: user.id,
    tenantId: user.attributes.tenant_id?.[0] ?? '',
    username: user.username,
    displayName: user.firstName ?? user.username,
    email: user.email || null,
    roles: await rolesOf(call, user.id),
    enabled: user.enabled,
    temporaryPassword: user.requiredActions.includes(changePassword),
    secondFactor: user.totp ? 'on' : user.requiredActions.includes(enrolFactor) ? 'required' : 'off',
    createdAt: new Date(user.createdTimestamp),
  };
}

/** By position, as Keycloak counts: a user made or deleted meanwhile shifts the next page by one. */
async function listUsers(call: CallAdmin, tenantId: string, { cursor, limit }: { cursor?: string; limit: number }) {
  const first = cursor === undefined ? 0 : positionOf(cursor);
  const query = { q: `tenant_id:${tenantId}`, first: String(first), max: String(limit + 1), briefRepresentation: 'false' };
  const answer = await call('GET', `/users?${new URLSearchParams(query)}`);
  expect(answer, 200);
  const found = z.array(representation).parse(answer.body);
  const page = found.slice(0, limit);
  const items: User[] = [];
  for (let at = 0; at < page.length; at += atOnce)
    items.push(...(await Promise.all(page.slice(at, at + atOnce).map((user) => userOf(call, user)))));
  return { items, nextCursor: found.length > limit ? Buffer.from(String(first + limit)).toString('base64url') : null };
}

function positionOf(cursor: string): number {
  const text = cursorForm.test(cursor) ? Buffer.from(cursor, 'base64url').toString() : '';
  if (!/^\d{1,9}$/.test(text)) throw identityErrors.error('user.cursor_invalid');
  return Number(text);
}

import { z } from 'zod';
import { permissions, roles } from '../policy';
import { uuid } from './scalars';
import { featureNames } from './settings';

const displayName = z.string().trim().min(1).max(120);
const email = z.email().max(254);
const roleList = z.array(z.enum(roles)).max(roles.length);

/** Nobody is granted roles on nearly as many areas one by one: a role on their region does the same. */
export const maxGrantedAreas = 1000;

/** Who the caller is, as Star knows her now. */
export const me = z.object({
  id: uuid,
  tenantId: uuid,
  tenantName: z.string(),
  username: z.string(),
  displayName: z.string(),
  roles: z.array(z.string()),
  /** Held in the whole tenant. */
  permissions: z.array(z.enum(permissions)),
  /** Held on an area and everything below it, by roles granted there. The first `maxGrantedAreas` areas. */
  onAreas: z.array(z.object({ areaId: uuid, permissions: z.array(z.enum(permissions)) })).max(maxGrantedAreas),
  /** What is switched on for the tenant. */
  features: z.array(z.enum(featureNames)),
});
export type Me = z.infer<typeof me>;

export const user = z.object({
  id: uuid,
  username: z.string(),
  displayName: z.string(),
  email: z.string().nullable(),
  /** Names that are no role of ours hold nothing, but are shown. */
  roles: z.array(z.string()),
  enabled: z.boolean(),
  temporaryPassword: z.boolean(),
  /** `required`: enrolled at the next log-in. */
  secondFactor: z.enum(['off', 'required', 'on']),
  createdAt: z.iso.datetime(),
});
export type User = z.infer<typeof user>;

export const createUser = z.strictObject({
  username: z.string().trim().min(1).max(64),
  displayName,
  email: email.optional(),
  roles: roleList,
  secondFactorRequired: z.boolean().default(false),
});
export type CreateUser = z.infer<typeof createUser>;

/** Shown once: it must be changed at the next log-in. */
export const temporaryPassword = z.object({ password: z.string() });
export const createdUser = user.extend(temporaryPassword.shape);
export type CreatedUser = z.infer<typeof createdUser>;

export const changeUser = z.strictObject({
  displayName: displayName.optional(),
  /** Null takes it away. */
  email: email.nullable().optional(),
  roles: roleList.optional(),
  /** False ends the user's sessions. */
  enabled: z.boolean().optional(),
  secondFactorRequired: z.boolean().optional(),
});
export type ChangeUser = z.infer<typeof changeUser>;

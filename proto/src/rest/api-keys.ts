/** A tenant's API keys, for its programs. */

import { z } from 'zod';
import { grantable, permissions } from '../policy/permissions';
import { uuid } from './scalars';

const time = z.iso.datetime({ offset: true });

export const createApiKey = z.strictObject({
  name: z.string().trim().min(1).max(120),
  permissions: z
    .array(z.enum(grantable as [(typeof grantable)[number]]))
    .min(1)
    .max(100)
    .transform((all) => [...new Set(all)]),
  /** Never, when null. */
  expiresAt: time.nullable().default(null),
});
export const apiKey = z.object({
  id: uuid,
  name: z.string(),
  /** How the key begins, to tell it from others. */
  prefix: z.string(),
  permissions: z.array(z.enum(permissions)),
  createdBy: z.string(),
  createdAt: time,
  expiresAt: time.nullable(),
  /** To the minute. */
  lastUsedAt: time.nullable(),
  revokedAt: time.nullable(),
});
export type ApiKey = z.infer<typeof apiKey>;

/** The key itself is in this answer and nowhere else. */
export const createdApiKey = apiKey.extend({ key: z.string() });
export type CreatedApiKey = z.infer<typeof createdApiKey>;

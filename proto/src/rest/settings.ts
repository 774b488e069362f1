/** A tenant's settings: what the provider allows it, and what it chooses within. */

import { z } from 'zod';

const days = (least: number, usual: number) => z.int().min(least).max(3650).default(usual);
const count = (most: number, usual: number) => z.int().min(0).max(most).default(usual);

/** Each a switch of something a tenant may or may not use. */
export const featureNames = ['search', 'apiKeys', 'modelPacks'] as const;
export type Feature = (typeof featureNames)[number];

const storage = z
  .strictObject({
    /** Of everything the tenant keeps in object storage, GB. */
    quotaGb: count(1_000_000, 500),
  })
  .prefault({});

const features = z
  .strictObject({
    search: z.boolean().default(true),
    apiKeys: z.boolean().default(true),
    /** Face model packs of its own. */
    modelPacks: z.boolean().default(true),
  })
  .prefault({});

const limits = z
  .strictObject({
    edges: count(100_000, 50),
    cameras: count(1_000_000, 1000),
    people: count(10_000_000, 10_000),
    searchesInFlight: count(10_000, 20),
    /** Of the whole tenant. */
    apiCallsPerMinute: z.int().min(1).max(1_000_000).default(12_000),
  })
  .prefault({});

/** Days. */
const retention = z
  .strictObject({
    matches: days(1, 180),
    crops: days(1, 90),
    photos: days(1, 3650),
    telemetry: days(1, 30),
    /** Not less than a year, whoever asks. */
    audit: days(365, 1095),
  })
  .prefault({});

/** Where a tenant wants to be told things. Kept, and shown; nothing is sent yet. */
export const notificationChannel = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('email'), name: z.string().trim().min(1).max(60), to: z.array(z.email().max(254)).min(1).max(20) }),
  z.strictObject({ kind: z.literal('webhook'), name: z.string().trim().min(1).max(60), url: z.url({ protocol: /^https?$/ }).max(512) }),
]);

const timeZone = z
  .string()
  .max(64)
  .refine((name) => isTimeZone(name), { params: { code: 'time_zone_unknown' } })
  .default('Asia/Shanghai');

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined && /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

export const tenantSettings = z.strictObject({
  storage,
  features,
  limits,
  retention,
  notifications: z.strictObject({ channels: z.array(notificationChannel).max(20).default([]) }).prefault({}),
  /** Which of the provider's price lists the tenant is to be billed by. Kept, and shown; there are no bills yet. */
  billingRules: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .default('default'),
  timeZone,
});
export type TenantSettings = z.infer<typeof tenantSettings>;

/** What a tenant's own administrator may change; all the rest is the provider's. */
export const tenantChoices = ['retention', 'notifications', 'timeZone'] as const satisfies readonly (keyof TenantSettings)[];

export const defaultTenantSettings: TenantSettings = tenantSettings.parse({});

/** `version` is what the change was made from; another's change in between is `settings.changed`. The header If-Match says the same. */
export const putSettings = z.strictObject({ version: z.int().min(0).optional(), settings: tenantSettings });

const time = z.iso.datetime({ offset: true });
export const shownSettings = z.object({
  /** 0: nobody has changed them yet. */
  version: z.int(),
  settings: tenantSettings,
  changedAt: time.nullable(),
  changedBy: z.string().nullable(),
  /** The parts the caller may change. */
  mayChange: z.array(z.string()),
  /** As it was counted last, at most some hours ago; null: not yet. */
  storageUsed: z.object({ bytes: z.int(), objects: z.int(), measuredAt: time }).nullable(),
});
export type ShownSettings = z.infer<typeof shownSettings>;

export const settingsVersion = z.object({ version: z.int(), settings: tenantSettings, changedAt: time, changedBy: z.string() });
export type SettingsVersion = z.infer<typeof settingsVersion>;

import { z } from 'zod';

/** Program and arguments: separated by blanks, or, where they hold blanks themselves, as a JSON array. */
function wordsOf(text: string, context: z.RefinementCtx): string[] {
  if (!text.startsWith('[')) return text.split(/\s+/);
  try {
    return z.array(z.string()).min(1).parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: 'custom', message: 'is no JSON array of strings' });
    return z.NEVER;
  }
}

const milliseconds = z.coerce.number().int().min(1).max(86_400_000);

const settingsSchema = z.object({
  STAR_MQTT_URL: z.url({ protocol: /^(mqtt|mqtts|tcp|tls|ssl)$/ }).optional(),
  PROVISION_KEY: z.string().min(1).max(256).optional(),
  PROVISION_SECRET: z.string().min(1).max(256).optional(),
  DEVICE_NAME: z.string().min(1).max(128).optional(),
  /** Quota of the outgoing spool, reports set aside included. */
  DUBHE_SPOOL_BYTES: z.coerce.number().int().min(1024).default(1_073_741_824),
  DUBHE_HEALTH_MS: milliseconds.default(30_000),
  /** First wait after a lost connection; doubles up to 30 s. */
  DUBHE_RETRY_MS: milliseconds.default(500),
  /** Wait after a refusal that only a person can settle: wrong key, taken name, revoked token. */
  DUBHE_SLOW_RETRY_MS: milliseconds.default(60_000),
  /** A connection on which one message is not acknowledged for so long is given up. */
  DUBHE_ACK_TIMEOUT_MS: milliseconds.default(30_000),
  /** Program and arguments that install an archive, whose path comes after them; absent: this box cannot. */
  DUBHE_INSTALL_PACK: z.string().trim().min(1).max(4096).transform(wordsOf).optional(),
  DUBHE_INSTALL_TIMEOUT_MS: milliseconds.default(900_000),
  /** Until software that failed is tried again; doubles up to a day. */
  DUBHE_SOFTWARE_RETRY_MS: milliseconds.default(21_600_000),
  /** Software is not fetched when less than this would be left on the disk. */
  DUBHE_DISK_RESERVE_BYTES: z.coerce.number().int().min(0).default(268_435_456),
  /** How long a command waits for an agent that is restarting. */
  DUBHE_COMMAND_MS: milliseconds.default(13_000),
});

export type DubheSettings = z.infer<typeof settingsSchema>;

/** Throws when a setting is unusable: a box with a typo must not run as if it were configured. */
export function readSettings(settings: Readonly<Record<string, string | undefined>>): DubheSettings {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = settingsSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new Error(`Unusable settings: ${parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ')}`);
}

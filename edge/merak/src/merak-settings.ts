import { availableParallelism } from 'node:os';
import { z } from 'zod';

const milliseconds = z.coerce.number().int().min(1).max(86_400_000);

const settingsSchema = z.object({
  /** Downloaded files waiting for, or in, the index stage. Two per core keep Mizar busy while the next ones arrive. */
  MERAK_IN_FLIGHT: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(2 * availableParallelism()),
  /** First wait after a failed call; doubles up to 15 times that. */
  MERAK_RETRY_MS: milliseconds.default(2_000),
  /** How often a recorder's failing call is tried before the span counts as failed. */
  MERAK_ATTEMPTS: z.coerce.number().int().min(1).max(100).default(6),
  /** Unfinished tasks this box takes. */
  MERAK_MAX_TASKS: z.coerce.number().int().min(1).max(100_000).default(1_000),
  /** A waiting task gains one priority for each such stretch. */
  MERAK_AGE_MS: milliseconds.default(30_000),
  /** Finished tasks are remembered so long, so that a late repeat of createTask is still recognised. */
  MERAK_KEEP_DAYS: z.coerce.number().min(0).max(3650).default(7),
  /** With less free disk than this no task is taken. */
  MERAK_MIN_FREE_BYTES: z.coerce.number().int().min(0).default(67_108_864),
  /** Whether recorders are measured on their own footage while the box has nothing else to do. */
  MERAK_CALIBRATE: z.enum(['on', 'off']).default('on'),
  /** How often recorders are asked how far back their footage goes, so that faces are kept no longer. */
  MERAK_FOLLOW_FOOTAGE_MS: milliseconds.default(6 * 3_600_000),
});

export interface MerakSettings {
  readonly inFlight: number;
  readonly retryMs: number;
  readonly attempts: number;
  readonly maxTasks: number;
  readonly ageMs: number;
  readonly keepMs: number;
  readonly minFreeBytes: number;
  readonly calibrate: boolean;
  readonly followFootageMs: number;
}

/** Throws when a setting is unusable: a box with a typo must not run as if it were configured. */
export function readSettings(settings: Readonly<Record<string, string | undefined>>): MerakSettings {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = settingsSchema.safeParse(given);
  if (!parsed.success)
    throw new Error(`Unusable settings: ${parsed.error.issues.map((i) => `${i.path.join('.')} ${i.message}`).join('; ')}`);
  const s = parsed.data;
  return {
    inFlight: s.MERAK_IN_FLIGHT,
    retryMs: s.MERAK_RETRY_MS,
    attempts: s.MERAK_ATTEMPTS,
    maxTasks: s.MERAK_MAX_TASKS,
    ageMs: s.MERAK_AGE_MS,
    keepMs: s.MERAK_KEEP_DAYS * 86_400_000,
    minFreeBytes: s.MERAK_MIN_FREE_BYTES,
    calibrate: s.MERAK_CALIBRATE === 'on',
    followFootageMs: s.MERAK_FOLLOW_FOOTAGE_MS,
  };
}

import { z } from 'zod';

const ms = (fallback: number) => z.coerce.number().int().min(0).default(fallback);

/** Limits of this agent, from the environment. All have defaults; a malformed one stops the start. */
export const settingsSchema = z.object({
  ALIOTH_SPOOL_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(8 * 1024 ** 3),
  /** First wait after a busy recorder; doubles up to the cap, with jitter. */
  ALIOTH_BACKOFF_FIRST_MS: ms(2000),
  ALIOTH_BACKOFF_CAP_MS: ms(60_000),
  /** Tries of one download before its error goes to the caller. */
  ALIOTH_ATTEMPTS: z.coerce.number().int().min(1).default(6),
  ALIOTH_CONNECT_TIMEOUT_MS: ms(5000),
  ALIOTH_HEADERS_TIMEOUT_MS: ms(15_000),
  /** Longest silence inside an answer. */
  ALIOTH_IDLE_TIMEOUT_MS: ms(30_000),
  /** A whole download, however slowly it comes. */
  ALIOTH_DOWNLOAD_DEADLINE_MS: ms(30 * 60_000),
  /** How often a recorder's clock and channels are looked at. */
  ALIOTH_REFRESH_MS: ms(5 * 60_000),
  /** Waiting this long makes a download as urgent as the next higher priority. */
  ALIOTH_AGEING_MS: ms(30_000),
});
export type Settings = z.infer<typeof settingsSchema>;

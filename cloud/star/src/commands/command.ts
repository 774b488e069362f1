import { resolve } from 'node:path';
import { z } from 'zod';
import { apiSettings } from './star-session';

/** Of the environment, what commands need: the same names as Star itself has. */
export const commandSettings = apiSettings.extend({
  /** Star's data folder; `.star` unless told, as the demo has it. */
  STAR_DATA: z
    .string()
    .min(1)
    .default('.star')
    .transform((path) => resolve(path)),
  /** An external PostgreSQL; without it the embedded one under STAR_DATA is used, and started when Star does not run. */
  STAR_DATABASE_URL: z.url().optional(),
  STAR_KAFKA_BROKERS: z.string().optional(),
});
export type CommandSettings = z.infer<typeof commandSettings>;

export interface CommandContext {
  readonly settings: CommandSettings;
  /** One line of the answer. */
  say(line: string): void;
}

export interface Command {
  /** Lines of the usage, without `star`. */
  readonly usage: readonly string[];
  /** Answers the exit status. Throws UsageError for what it was not asked rightly. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

export class UsageError extends Error {}

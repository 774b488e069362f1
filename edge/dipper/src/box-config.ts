import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AgentError } from '@dipper/platform';
import { z } from 'zod';

const bytes = z.int().min(1);

/** The file an installer writes, by default `<data>/dipper.json`. Unknown keys are refused: a typo must not go unnoticed. */
export const boxConfig = z.strictObject({
  /** The box's name at Star. */
  name: z.string().min(1).max(128).optional(),
  starMqttUrl: z.url({ protocol: /^mqtts?$/ }).optional(),
  provisionKey: z.string().min(1).max(256).optional(),
  provisionSecret: z.string().min(1).max(256).optional(),
  /** The model pack's folder, from this file's folder when relative; wins over what `dipper models use` chose. */
  pack: z.string().min(1).optional(),
  /** Inference threads; one per core when absent. */
  threads: z.int().min(1).max(256).optional(),
  /** How long faces seen are remembered; 30 days when absent. */
  keepFacesDays: z.number().min(1).max(3650).optional(),
  /** Quota for footage being searched. */
  footageSpoolBytes: bytes.optional(),
  /** Quota for reports that wait for Star. */
  reportSpoolBytes: bytes.optional(),
  /** Segments searched at once. */
  segmentsInFlight: z.int().min(1).max(256).optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
});
export type BoxConfig = z.infer<typeof boxConfig>;

/** Throws config.unreadable, config.malformed, config.invalid with the place in the file. */
export function readConfig(path: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new AgentError('config.unreadable', 'invalid', { path, reason: (error as NodeJS.ErrnoException).code }, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AgentError('config.malformed', 'invalid', { path }, error);
  }
  const parsed = boxConfig.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `/${issue.path.join('/')}: ${issue.message}`);
    throw new AgentError('config.invalid', 'invalid', { path, problems });
  }
  return toSettings(parsed.data, dirname(resolve(path)));
}

/** The settings the agents know, from the words an installer knows. */
export function toSettings(config: BoxConfig, folder: string): Record<string, string> {
  const settings: Record<string, string | number | undefined> = {
    DEVICE_NAME: config.name,
    STAR_MQTT_URL: config.starMqttUrl,
    PROVISION_KEY: config.provisionKey,
    PROVISION_SECRET: config.provisionSecret,
    MIZAR_PACK: config.pack === undefined ? undefined : resolve(folder, config.pack),
    MIZAR_THREADS: config.threads,
    MIZAR_KEEP_DAYS: config.keepFacesDays,
    ALIOTH_SPOOL_BYTES: config.footageSpoolBytes,
    DUBHE_SPOOL_BYTES: config.reportSpoolBytes,
    MERAK_IN_FLIGHT: config.segmentsInFlight,
    LOG_LEVEL: config.logLevel,
  };
  const given = Object.entries(settings).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

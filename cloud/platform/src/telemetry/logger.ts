import pino, { type DestinationStream, type Logger } from 'pino';
import { currentTrace } from './trace';

export interface LoggerOptions {
  readonly service: string;
  readonly level?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly destination?: DestinationStream;
}

// Last line of defence: secrets have no business in a log call, but whole requests and settings do end up there.
const secretNames = ['password', 'secret', 'token', 'accessToken', 'authorization', 'cookie', 'credentials', 'privateKey'];
const redact = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** JSON lines with UTC time, the service and, inside a trace, its id. */
export const createLogger = (options: LoggerOptions): Logger =>
  pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: redact, censor: '[redacted]' },
      mixin: () => {
        const trace = currentTrace();
        return trace ? { traceId: trace.traceId } : {};
      },
    },
    options.destination ?? pino.destination({ fd: 1, sync: false }),
  );

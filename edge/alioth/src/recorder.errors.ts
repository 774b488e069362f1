import { AgentError, type ErrorKind } from '@dipper/platform';

/** Every code Alioth answers with, and whether trying again may help. */
export const recorderErrors = {
  'recorder.unknown': 'not_found',
  /** No answer, or not in time. */
  'recorder.unreachable': 'unavailable',
  /** Wrong user or password, or one channel's own 401. */
  'recorder.unauthorized': 'unprocessable',
  /** Locked by the recorder after wrong passwords, or left alone by us so that it does not lock. */
  'recorder.locked_out': 'unavailable',
  /** The user may not play back or download. */
  'recorder.forbidden': 'unprocessable',
  'recorder.busy': 'limited',
  /** Something that is no answer: HTML, broken XML, a failure without a better name. */
  'recorder.bad_answer': 'unavailable',
  'recorder.listing_endless': 'unprocessable',
  'segment.invalid': 'invalid',
  'segment.not_found': 'not_found',
  'segment.corrupt': 'unprocessable',
  'segment.no_video': 'unprocessable',
  'spool.full': 'limited',
  'alioth.cancelled': 'cancelled',
} as const satisfies Record<string, ErrorKind>;
export type RecorderErrorCode = keyof typeof recorderErrors;

/** The one way to make an error here; never put credentials in `params`. */
export const fault = (code: RecorderErrorCode, params: Readonly<Record<string, unknown>> = {}, cause?: unknown): AgentError =>
  new AgentError(code, recorderErrors[code], params, cause);

export const isFault = (error: unknown, ...codes: RecorderErrorCode[]): error is AgentError =>
  error instanceof AgentError && (codes as string[]).includes(error.code);

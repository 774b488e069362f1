import { STATUS_CODES } from 'node:http';
import { types } from 'node:util';
import type { Problem } from '@stardipper/proto';
import { ZodError, type z } from 'zod';
import { AppError, defineErrors, type FieldError } from './app-error';

/** What a request itself can be wrong in, whichever service it is for. */
export const requestErrors = defineErrors({
  'request.invalid': 'invalid',
  'request.malformed_json': 'invalid',
  'request.too_deep': 'invalid',
  'request.too_large': 'too_large',
  'route.not_found': 'not_found',
});

/** A form with more mistakes than this is not being filled in by a person. */
const maxFields = 50;

/**
 * The answer of RFC 9457 for any error. An AppError shows its code and params, a ZodError its fields, an HTTP error of
 * the framework its status; everything else is `internal`. No message, cause or stack gets out.
 */
export function toProblem(error: unknown, traceId: string): Problem {
  const { status, code, params, fields } = outside(error);
  return {
    type: `urn:star:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code,
    params: { ...params },
    traceId,
    ...(fields.length > 0 ? { errors: fields.slice(0, maxFields).map((field) => ({ ...field, params: { ...field.params } })) } : {}),
  };
}

interface Outside {
  readonly status: number;
  readonly code: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly fields: readonly FieldError[];
}

const internal: Outside = { status: 500, code: 'internal', params: {}, fields: [] };

function outside(error: unknown): Outside {
  if (error instanceof AppError) return error.kind === 'internal' ? internal : error;
  if (error instanceof ZodError) return { status: 400, code: 'request.invalid', params: {}, fields: fieldErrors(error) };
  const status = httpStatus(error);
  return status === undefined ? internal : { status, code: codeOfStatus[status] ?? `http.${status}`, params: {}, fields: [] };
}

const codeOfStatus: Readonly<Record<number, string>> = {
  400: 'request.invalid',
  404: 'route.not_found',
  405: 'route.method_not_allowed',
  408: 'request.timeout',
  413: 'request.too_large',
  414: 'request.address_too_long',
  415: 'request.media_type',
  429: 'request.limited',
  503: 'unavailable',
};

/** Nest's HttpException answers `getStatus()`, Fastify's errors carry `statusCode`; only 4xx and 503 mean something outside. */
function httpStatus(error: unknown): number | undefined {
  if (!types.isNativeError(error)) return undefined;
  const carrier = error as { getStatus?: () => unknown; statusCode?: unknown };
  const status = typeof carrier.getStatus === 'function' ? carrier.getStatus() : carrier.statusCode;
  return typeof status === 'number' && ((status >= 400 && status < 500) || status === 503) ? status : undefined;
}

/** Zod's issues as pointers and codes. An absent field is `required`, an extra one `unknown_field` at its own place. */
export function fieldErrors(error: ZodError): FieldError[] {
  return error.issues.slice(0, maxFields).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.slice(0, maxFields).map((key) => ({ pointer: toPointer([...issue.path, key]), code: 'unknown_field', params: {} }));
    }
    const absent = issue.code === 'invalid_type' && 'input' in issue && issue.input === undefined;
    return [{ pointer: toPointer(issue.path), code: absent ? 'required' : codeOf(issue), params: paramsOf(issue) }];
  });
}

/** A refinement names its own code: `ctx.addIssue({ code: 'custom', params: { code: 'range.reversed' } })`. */
function codeOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'custom') return issue.code;
  const own = issue.params?.code;
  return typeof own === 'string' ? own : 'invalid';
}

// Named one by one: an issue may also carry the input itself, which must not be echoed.
const publicParams = ['expected', 'format', 'minimum', 'maximum', 'inclusive', 'divisor', 'values'] as const;

function paramsOf(issue: z.core.$ZodIssue): Record<string, unknown> {
  const fields = issue as unknown as Record<string, unknown>;
  return Object.fromEntries(publicParams.filter((name) => fields[name] !== undefined).map((name) => [name, plain(fields[name])]));
}

const plain = (value: unknown) => (typeof value === 'bigint' ? value.toString() : value);

/** RFC 6901. */
export const toPointer = (path: readonly PropertyKey[]) =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Parses what came from outside: throws `request.invalid` with every wrong field. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  // `reportInput` tells an absent field from one of a wrong type; the input goes no further than `fieldErrors`.
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new AppError('request.invalid', 'invalid', {}, { fields: fieldErrors(parsed.error), message: 'request.invalid' });
}

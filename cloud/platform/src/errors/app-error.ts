/** One kind decides the HTTP status, the gRPC code and whether a retry may help. */
export const errorKinds = {
  invalid: { status: 400, retry: false },
  unauthenticated: { status: 401, retry: false },
  forbidden: { status: 403, retry: false },
  not_found: { status: 404, retry: false },
  conflict: { status: 409, retry: false },
  gone: { status: 410, retry: false },
  too_large: { status: 413, retry: false },
  unprocessable: { status: 422, retry: false },
  limited: { status: 429, retry: true },
  unavailable: { status: 503, retry: true },
  timeout: { status: 504, retry: true },
  internal: { status: 500, retry: false },
} as const;

export type ErrorKind = keyof typeof errorKinds;

/** A place in the input that is wrong: RFC 6901 pointer, stable code, typed parameters. */
export interface FieldError {
  readonly pointer: string;
  readonly code: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * The only error that crosses a service's boundary. `code` and `params` are public and stable; `message`
 * and `cause` stay inside the process.
 */
export class AppError extends Error {
  constructor(
    readonly code: string,
    readonly kind: ErrorKind,
    readonly params: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; fields?: readonly FieldError[]; message?: string } = {},
  ) {
    super(options.message ?? `${code} ${JSON.stringify(params)}`, { cause: options.cause });
    this.name = 'AppError';
    this.fields = options.fields ?? [];
  }
  readonly fields: readonly FieldError[];
  get status(): number {
    return errorKinds[this.kind].status;
  }
  get retry(): boolean {
    return errorKinds[this.kind].retry;
  }
}

/** Declares a service's registry of errors: `const errors = defineErrors({ 'edge.not_found': 'not_found' })`. */
export function defineErrors<const R extends Record<string, ErrorKind>>(registry: R) {
  return {
    registry,
    error: (code: keyof R & string, params: Record<string, unknown> = {}, cause?: unknown): AppError =>
      new AppError(code, registry[code] as ErrorKind, params, { cause }),
  };
}

import { type Metadata as GrpcMetadata, Metadata, status } from '@grpc/grpc-js';

/** What decides whether trying again may help, and the gRPC status. */
export const errorKinds = {
  invalid: { grpc: status.INVALID_ARGUMENT, retry: false },
  not_found: { grpc: status.NOT_FOUND, retry: false },
  conflict: { grpc: status.FAILED_PRECONDITION, retry: false },
  /** The thing itself is bad and will stay so: a broken file, wrong credentials. */
  unprocessable: { grpc: status.DATA_LOSS, retry: false },
  limited: { grpc: status.RESOURCE_EXHAUSTED, retry: true },
  unavailable: { grpc: status.UNAVAILABLE, retry: true },
  timeout: { grpc: status.DEADLINE_EXCEEDED, retry: true },
  cancelled: { grpc: status.CANCELLED, retry: false },
  internal: { grpc: status.INTERNAL, retry: false },
} as const;
export type ErrorKind = keyof typeof errorKinds;

/** The only error that crosses an agent's boundary. `code` and `params` are stable and public. */
export class AgentError extends Error {
  constructor(
    readonly code: string,
    readonly kind: ErrorKind,
    readonly params: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(`${code} ${JSON.stringify(params)}`, { cause });
    this.name = 'AgentError';
  }
  get retry(): boolean {
    return errorKinds[this.kind].retry;
  }
  /** To a caller who has not cancelled: the agent is down, restarting, or was told to stop in the middle of the call. */
  get away(): boolean {
    return this.code === 'agent.unavailable' || this.kind === 'cancelled';
  }
}

/** As a gRPC error: status by kind, the stable code and parameters in the trailers. */
export function toGrpcError(error: unknown): { code: number; details: string; metadata: GrpcMetadata } {
  const known = error instanceof AgentError ? error : new AgentError('internal', 'internal', {}, error);
  const metadata = new Metadata();
  metadata.set('error-code', known.code);
  metadata.set('error-kind', known.kind);
  metadata.set('error-params', JSON.stringify(known.params));
  return { code: errorKinds[known.kind].grpc, details: known.code, metadata };
}

/** What gRPC calls it when the other end goes away in the middle of a call; an agent's own errors carry trailers. */
const away: readonly number[] = [status.UNAVAILABLE, status.CANCELLED, status.INTERNAL, status.UNKNOWN];

/**
 * Back from a gRPC error. An agent that is down, restarting or ending reads as `agent.unavailable`, which is worth a
 * retry; `cancelledHere` says that it was the caller who cancelled.
 */
export function fromGrpcError(error: unknown, cancelledHere = false): AgentError {
  if (error instanceof AgentError) return error;
  const grpc = error as { code?: number; metadata?: GrpcMetadata };
  const code = grpc.metadata?.get('error-code')[0]?.toString();
  const kind = grpc.metadata?.get('error-kind')[0]?.toString();
  if (code && kind && kind in errorKinds) {
    const params = JSON.parse(grpc.metadata?.get('error-params')[0]?.toString() ?? '{}') as Record<string, unknown>;
    return new AgentError(code, kind as ErrorKind, params, error);
  }
  if (grpc.code === status.CANCELLED && cancelledHere) return new AgentError('agent.cancelled', 'cancelled', {}, error);
  if (grpc.code === status.DEADLINE_EXCEEDED) return new AgentError('agent.timeout', 'timeout', {}, error);
  if (grpc.code !== undefined && away.includes(grpc.code)) return new AgentError('agent.unavailable', 'unavailable', {}, error);
  return new AgentError('agent.failed', 'internal', { grpc: grpc.code }, error);
}

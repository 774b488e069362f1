import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** W3C Trace Context, level 1. */
export interface Trace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: this step; the next one's parent. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const current = new AsyncLocalStorage<Trace>();

/** undefined for anything but a well-formed header: a broken one starts a new trace, as the standard asks. */
export function parseTraceparent(header: unknown): Trace | undefined {
  if (typeof header !== 'string' || header.length > 256) return undefined;
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header);
  if (!match) return undefined;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [string, string, string, string, string, string | undefined];
  if (version === 'ff' || (version === '00' && rest !== undefined) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const formatTraceparent = (trace: Trace) => `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? '01' : '00'}`;

/** A step under `parent`, or the first of a new trace. */
export const nextSpan = (parent?: Trace): Trace => ({
  traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  sampled: parent?.sampled ?? true,
});

/** Runs `work` as a step of the trace in `traceparent`; log lines and events written inside carry it. */
export const inTrace = <T>(traceparent: string | undefined, work: () => T): T => current.run(nextSpan(parseTraceparent(traceparent)), work);

export const withTrace = <T>(trace: Trace, work: () => T): T => current.run(trace, work);

export const currentTrace = (): Trace | undefined => current.getStore();

/** For an event or a call that leaves from here; undefined outside of any trace. */
export function currentTraceparent(): string | undefined {
  const trace = current.getStore();
  return trace && formatTraceparent(trace);
}

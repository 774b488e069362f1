import { AsyncLocalStorage } from 'node:async_hooks';

/** Where a request came from, as far as the network told. */
export interface RequestOrigin {
  readonly ip: string;
  /** What the client calls itself; at most 300 characters of it, empty when it said nothing. */
  readonly userAgent: string;
}

const current = new AsyncLocalStorage<RequestOrigin>();

/** Everything that `work` does, also later, comes from there. */
export const withOrigin = <T>(origin: RequestOrigin, work: () => T): T => current.run(origin, work);

/** undefined for what nobody asked for over HTTP: sweeps, messages of the bus, programs. */
export const currentOrigin = (): RequestOrigin | undefined => current.getStore();

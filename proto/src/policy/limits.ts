import { maxSoftwareBytes } from '../rpc';

/** What one request to a route may cost. */
export interface RouteLimits {
  /** Of the body. */
  readonly bodyBytes: number;
  /** For the request to come in whole, and again until the service begins to answer. */
  readonly timeoutMs: number;
  /** Events for as long as the reader stays: neither counted as work in flight nor cut by time. */
  readonly stream: boolean;
}

/** A JSON body, and longer than any answer takes, an estimate of many boxes among them. */
export const usualLimits: RouteLimits = { bodyBytes: 1_000_000, timeoutMs: 60_000, stream: false };

const own: Readonly<Record<string, Partial<RouteLimits>>> = {
  // A little above what the service takes, so that its own answer, which says how much, is the one that is seen.
  'POST /api/v1/people/:personId/photos': { bodyBytes: 16 * 1024 * 1024, timeoutMs: 120_000 },
  // 600 MB at 1.4 Mbit/s.
  'POST /api/v1/software/packages': { bodyBytes: maxSoftwareBytes + 1_000_000, timeoutMs: 3_600_000 },
  'GET /api/v1/searches/:searchId/events': { stream: true },
  'GET /objects/*': { timeoutMs: 3_600_000 },
  // The signature of the address has its own limit, far below this.
  'PUT /objects/*': { bodyBytes: maxSoftwareBytes, timeoutMs: 3_600_000 },
};

const all: ReadonlyMap<string, RouteLimits> = new Map(Object.entries(own).map(([route, limits]) => [route, { ...usualLimits, ...limits }]));

/** The limits of a route as the router knows it; HEAD is GET without the body. */
export const limitsOf = (method: string, path: string): RouteLimits =>
  all.get(`${method === 'HEAD' ? 'GET' : method} ${path}`) ?? usualLimits;

/** Routes with limits of their own, for the test that each of them exists. */
export const limitedRoutes: readonly string[] = Object.keys(own);

export const longestTimeoutMs: number = Math.max(...[...all.values()].map((limits) => limits.timeoutMs));

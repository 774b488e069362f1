/** The one entrance for console and API. */
export { type ApiLimits, type ApiLimitsOf, apiLimitsWithin, usualApiLimits } from './api-limits';
export { gatewayErrors } from './gateway.errors';
export { type EntranceOptions, guardEntrance } from './guard-entrance';
export { type KongOptions, kongFile } from './kong';
export { type PassOnOptions, passOn, type Upstreams } from './pass-on';
export { type Bucket, countInMemory, type RateCounters, type Taken } from './rate-limits';
export { countInRedis } from './redis-rate-limits';
export { routes, type ServiceName, serviceNames } from './routes';
export { serveConsole } from './serve-console';
export { describeAll } from './whole-description';

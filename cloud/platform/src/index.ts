/** What every Star service stands on. Nest parts are in `@star/platform/nest`, test databases in `@star/platform/test-kit`. */

export type * from './analytics/analytics';
export type * from './bus/bus';
export * from './errors/app-error';
export type * from './identity/identity';
export type * from './objects/objects';
export * from './postgres/constraint-errors';
export type * from './postgres/database';
export * from './postgres/embedded';
export * from './postgres/leases';
export * from './postgres/migrate';
export * from './postgres/open-database';

/** What every Star service stands on. */
export * from './errors/app-error';
export type * from './postgres/database';
export type * from './bus/bus';
export type * from './objects/objects';
export type * from './analytics/analytics';
export type * from './identity/identity';

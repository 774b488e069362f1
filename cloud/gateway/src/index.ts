/** The one entrance for console and API. */
export * from './entrance';
export * from './serve-console';

/** For the tests of every service. Never imported by production code. */

export * from './browser';
export * from './oidc-client';
export * from './test-analytics';
export * from './test-database';
export * from './test-redis';

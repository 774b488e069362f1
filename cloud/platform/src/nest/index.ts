/** The HTTP side that Star's services share: Nest on Fastify. */
export * from './auth.guard';
export * from './bus-server';
export * from './health.controller';
export * from './http-app';
export * from './json-body';
export * from './problem.filter';
export * from './request-trace';
export * from './unread-bodies';
export * from './zod-input';

/** What every agent stands on. */
export * from './agent-error';
export * from './agent-lock';
export * from './agent-process';
export * from './clock';
export * from './durable';
export * from './grpc';
export * from './sqlite';
export * from './supervise';
export * from './zone';

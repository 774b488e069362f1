export * from './limits';
export * from './permissions';
export type { Access, PolicyRow } from './route';
export { accessOf, policy } from './routes';
export { type TopicRow, topicPolicy } from './topics';

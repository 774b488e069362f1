export { featuredRoutes, featureOf } from './features';
export * from './permissions';
export type { Access, PolicyRow } from './route';
export { accessOf, isAreaScoped, policy } from './routes';
export { type TopicRow, topicPolicy } from './topics';

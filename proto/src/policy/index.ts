export { featuredRoutes, featureMissing, featureOf } from './features';
export { type Held, holdsOn, opens, type RouteName } from './held';
export * from './permissions';
export type { Access, PolicyRow } from './route';
export { accessOf, isAreaScoped, policy } from './routes';
export { type TopicRow, topicPolicy } from './topics';

/** Everything cloud, edge and web share. Generated gRPC and event types come as one namespace per file. */
export * as agent from '../gen/dipper/v1/agent';
export * as alioth from '../gen/dipper/v1/alioth';
export * as dubhe from '../gen/dipper/v1/dubhe';
export * as mizar from '../gen/dipper/v1/mizar';
export * as events from '../gen/events/v1/events';
export * as devices from '../gen/star/v1/devices';
export * from './api';
export * from './names';
export * from './policy';
export * from './reports';
export * from './rest/settings';
export * from './rest/tenants';
export * from './rpc';
export * from './spans';

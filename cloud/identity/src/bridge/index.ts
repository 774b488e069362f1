export { registerBridge } from './bridge';
export { type FeishuOptions, feishu } from './feishu';
export type { BridgedService, BridgeOptions } from './service';
export { type WechatOptions, wechat } from './wechat';

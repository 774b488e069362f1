export { type BridgeOptions, registerBridge } from './bridge';
export { type FeishuOptions, feishu } from './feishu';
export { bridgeErrors, type Upstream, type UpstreamPerson } from './upstream';
export { type WechatOptions, wechat } from './wechat';

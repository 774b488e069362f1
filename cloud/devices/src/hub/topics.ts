/** The device API's topics: ThingsBoard's, and no others. There is no routing between clients, so a table is all it takes. */

/** Long topics (`v1/devices/me/…`), short ones (`v2/…`) and short ones that name their format (`v2/…/j/…`). */
export type TopicStyle = 'v1' | 'v2' | 'v2j';

export type Uplink =
  | { readonly kind: 'telemetry' }
  | { readonly kind: 'attributes' }
  | { readonly kind: 'attributesRequest'; readonly requestId: number; readonly style: TopicStyle }
  | { readonly kind: 'rpcReply'; readonly requestId: number }
  | { readonly kind: 'chunk'; readonly image: 'fw' | 'sw'; readonly requestId: number; readonly index: number }
  | { readonly kind: 'rpcRequest'; readonly requestId: number; readonly style: TopicStyle };

/** What a device can subscribe to. `replies` need no subscription: they are written in any case. */
export interface Downlink {
  readonly channel: 'attributes' | 'rpc' | 'replies' | 'chunks';
  readonly style: TopicStyle;
}

type Kind = Uplink['kind'];

const plainUplinks = new Map<string, Uplink>([
  ['v1/devices/me/telemetry', { kind: 'telemetry' }],
  ['v1/devices/me/attributes', { kind: 'attributes' }],
  ['v2/t', { kind: 'telemetry' }],
  ['v2/t/j', { kind: 'telemetry' }],
  ['v2/a', { kind: 'attributes' }],
  ['v2/a/j', { kind: 'attributes' }],
]);

/** Prefix, followed by an integer id. Longer prefixes first: `v2/a/req/` is also the start of `v2/a/req/j/`. */
const numberedUplinks: readonly (readonly [prefix: string, kind: Kind, style: TopicStyle])[] = [
  ['v1/devices/me/attributes/request/', 'attributesRequest', 'v1'],
  ['v1/devices/me/rpc/response/', 'rpcReply', 'v1'],
  ['v1/devices/me/rpc/request/', 'rpcRequest', 'v1'],
  ['v2/a/req/j/', 'attributesRequest', 'v2j'],
  ['v2/a/req/', 'attributesRequest', 'v2'],
  ['v2/r/res/j/', 'rpcReply', 'v2j'],
  ['v2/r/res/', 'rpcReply', 'v2'],
  ['v2/r/req/j/', 'rpcRequest', 'v2j'],
  ['v2/r/req/', 'rpcRequest', 'v2'],
];

const filters = new Map<string, Downlink>([
  ['v1/devices/me/attributes', { channel: 'attributes', style: 'v1' }],
  ['v1/devices/me/attributes/response/+', { channel: 'replies', style: 'v1' }],
  ['v1/devices/me/rpc/request/+', { channel: 'rpc', style: 'v1' }],
  ['v1/devices/me/rpc/response/+', { channel: 'replies', style: 'v1' }],
  ['v2/a', { channel: 'attributes', style: 'v2' }],
  ['v2/a/res/+', { channel: 'replies', style: 'v2' }],
  ['v2/r/req/+', { channel: 'rpc', style: 'v2' }],
  ['v2/r/res/+', { channel: 'replies', style: 'v2' }],
  ['v2/a/j', { channel: 'attributes', style: 'v2j' }],
  ['v2/a/res/j/+', { channel: 'replies', style: 'v2j' }],
  ['v2/r/req/j/+', { channel: 'rpc', style: 'v2j' }],
  ['v2/r/res/j/+', { channel: 'replies', style: 'v2j' }],
  ['v2/sw/response/+/chunk/+', { channel: 'chunks', style: 'v2' }],
  ['v2/fw/response/+/chunk/+', { channel: 'chunks', style: 'v2' }],
  ['v2/sw/error', { channel: 'chunks', style: 'v2' }],
  ['v2/fw/error', { channel: 'chunks', style: 'v2' }],
]);

const chunkTopic = /^v2\/(fw|sw)\/request\/(\d{1,10})\/chunk\/(\d{1,10})$/;

/** All there are, for the test that each stands in the policy table; `+` for a number. */
export const deviceTopics = {
  up: [
    ...plainUplinks.keys(),
    ...numberedUplinks.map(([prefix]) => `${prefix}+`),
    ...['fw', 'sw'].map((image) => `v2/${image}/request/+/chunk/+`),
  ],
  down: [...filters.keys()],
} as const;

/** Where a publish goes; `bad_id` when the topic is known but its id is not an integer of 32 bits; undefined when no such topic exists. */
export function uplinkOf(topic: string): Uplink | 'bad_id' | undefined {
  const plain = plainUplinks.get(topic);
  if (plain) return plain;
  const chunk = chunkTopic.exec(topic);
  if (chunk) {
    const [requestId, index] = [Number(chunk[2]), Number(chunk[3])];
    return requestId > 0x7fffffff || index > 0x7fffffff ? 'bad_id' : { kind: 'chunk', image: chunk[1] as 'fw' | 'sw', requestId, index };
  }
  for (const [prefix, kind, style] of numberedUplinks) {
    if (!topic.startsWith(prefix)) continue;
    const text = topic.slice(prefix.length);
    const requestId = Number(text);
    if (!/^\d{1,10}$/.test(text) || requestId > 0x7fffffff) return 'bad_id';
    return { kind, requestId, style } as Uplink;
  }
  return undefined;
}

/** A filter must equal one of the list: `#` and foreign topics are refused. */
export const downlinkOf = (filter: string): Downlink | undefined => filters.get(filter);

const downTopics: Record<TopicStyle, { attributes: string; attributesReply: string; rpcRequest: string; rpcReply: string }> = {
  v1: {
    attributes: 'v1/devices/me/attributes',
    attributesReply: 'v1/devices/me/attributes/response/',
    rpcRequest: 'v1/devices/me/rpc/request/',
    rpcReply: 'v1/devices/me/rpc/response/',
  },
  v2: { attributes: 'v2/a', attributesReply: 'v2/a/res/', rpcRequest: 'v2/r/req/', rpcReply: 'v2/r/res/' },
  v2j: { attributes: 'v2/a/j', attributesReply: 'v2/a/res/j/', rpcRequest: 'v2/r/req/j/', rpcReply: 'v2/r/res/j/' },
};

export const attributesTopic = (style: TopicStyle): string => downTopics[style].attributes;
export const attributesReplyTopic = (style: TopicStyle, requestId: number): string => downTopics[style].attributesReply + requestId;
export const rpcRequestTopic = (style: TopicStyle, requestId: number): string => downTopics[style].rpcRequest + requestId;
export const rpcReplyTopic = (style: TopicStyle, requestId: number): string => downTopics[style].rpcReply + requestId;

export const chunkReplyTopic = (requestId: number, index: number): string => `v2/sw/response/${requestId}/chunk/${index}`;
/** Of software as well: ThingsBoard has no other. */
export const chunkErrorTopic = 'v2/fw/error';

export const provisionRequestTopic = '/provision/request';
export const provisionResponseTopic = '/provision/response';

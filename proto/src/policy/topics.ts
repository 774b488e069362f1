/**
 * Who may use a topic of the hub: a `device` for itself, or a box that has nothing but a `provisioning` key. Nobody else
 * can log in there, and no topic names another device: what is published belongs to the one that is logged in.
 */
export interface TopicRow {
  readonly topic: string;
  /** `up`: published by the box; `down`: subscribed to. */
  readonly direction: 'up' | 'down';
  readonly access: 'device' | 'provisioning';
}

const rows = (direction: TopicRow['direction'], access: TopicRow['access'], topics: readonly string[]): readonly TopicRow[] =>
  topics.map((topic) => ({ topic, direction, access }));

/** The one table of topics; `+` stands for a number that the asker chose. */
export const topicPolicy: readonly TopicRow[] = [
  ...rows('up', 'provisioning', ['/provision/request']),
  ...rows('down', 'provisioning', ['/provision/response']),
  ...rows('up', 'device', [
    'v1/devices/me/telemetry',
    'v1/devices/me/attributes',
    'v1/devices/me/attributes/request/+',
    'v1/devices/me/rpc/response/+',
    'v1/devices/me/rpc/request/+',
    'v2/t',
    'v2/t/j',
    'v2/a',
    'v2/a/j',
    'v2/a/req/+',
    'v2/a/req/j/+',
    'v2/r/res/+',
    'v2/r/res/j/+',
    'v2/r/req/+',
    'v2/r/req/j/+',
    'v2/fw/request/+/chunk/+',
    'v2/sw/request/+/chunk/+',
  ]),
  ...rows('down', 'device', [
    'v1/devices/me/attributes',
    'v1/devices/me/attributes/response/+',
    'v1/devices/me/rpc/request/+',
    'v1/devices/me/rpc/response/+',
    'v2/a',
    'v2/a/j',
    'v2/a/res/+',
    'v2/a/res/j/+',
    'v2/r/req/+',
    'v2/r/req/j/+',
    'v2/r/res/+',
    'v2/r/res/j/+',
    'v2/fw/response/+/chunk/+',
    'v2/sw/response/+/chunk/+',
    'v2/fw/error',
    'v2/sw/error',
  ]),
];

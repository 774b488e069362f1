import { AgentError } from '@dipper/platform';
import type { IsapiClient } from './isapi-client';
import { fault, isFault } from './recorder.errors';
import { type ClockReading, readWritten } from './recorder-time';
import { childrenOf, textOf, type XmlNode } from './xml';

export interface DeviceInfo {
  readonly model: string;
  readonly serialNumber: string;
  readonly firmware: string;
}
export interface Channel {
  readonly channel: number;
  readonly name: string;
  readonly online: boolean;
}

const MAX_CHANNELS = 1024;
const short = (text: string | undefined): string => (text ?? '').slice(0, 128);

export async function readDeviceInfo(client: IsapiClient, signal?: AbortSignal): Promise<DeviceInfo> {
  const node = await client.xml('GET', '/ISAPI/System/deviceInfo', 'DeviceInfo', signal ? { signal } : {});
  return {
    model: short(textOf(node, 'model')),
    serialNumber: short(textOf(node, 'serialNumber')),
    firmware: short(textOf(node, 'firmwareVersion')),
  };
}

/** The recorder's clock beside ours, taken in the middle of the question and its answer. */
export async function readClock(client: IsapiClient, now: () => number, signal?: AbortSignal): Promise<ClockReading> {
  const asked = now();
  const node = await client.xml('GET', '/ISAPI/System/time', 'Time', signal ? { signal } : {});
  const local = readWritten(textOf(node, 'localTime') ?? '');
  if (!local) throw fault('recorder.bad_answer', { reason: 'no local time' });
  return { local, posixZone: textOf(node, 'timeZone'), atMs: Math.round((asked + now()) / 2) };
}

/** The cameras of a recorder: an NVR's network channels, or else the inputs of a DVR or a single camera. */
export async function readChannels(client: IsapiClient, signal?: AbortSignal): Promise<Channel[]> {
  const options = signal ? { signal } : {};
  const proxied = await orNothing(() => client.xml('GET', '/ISAPI/ContentMgmt/InputProxy/channels', 'InputProxyChannelList', options));
  if (proxied) {
    const status = await orNothing(() =>
      client.xml('GET', '/ISAPI/ContentMgmt/InputProxy/channels/status', 'InputProxyChannelStatusList', options),
    );
    const offline = new Set(
      childrenOf(status, 'InputProxyChannelStatus').flatMap((one) => (textOf(one, 'online') === 'false' ? [textOf(one, 'id')] : [])),
    );
    return channelsOf(childrenOf(proxied, 'InputProxyChannel'), (id) => !offline.has(id));
  }
  const inputs = await orNothing(() => client.xml('GET', '/ISAPI/System/Video/inputs/channels', 'VideoInputChannelList', options));
  if (inputs) return channelsOf(childrenOf(inputs, 'VideoInputChannel'), () => true);
  const streams = await client.xml('GET', '/ISAPI/Streaming/channels', 'StreamingChannelList', options);
  const main = childrenOf(streams, 'StreamingChannel').filter((one) => textOf(one, 'id')?.endsWith('01'));
  return channelsOf(
    main.map((one) => ({ id: textOf(one, 'id')?.slice(0, -2), name: textOf(one, 'channelName') })),
    () => true,
  );
}

function channelsOf(nodes: readonly XmlNode[], online: (id: string) => boolean): Channel[] {
  const channels = new Map<number, Channel>();
  for (const node of nodes.slice(0, MAX_CHANNELS)) {
    const id = textOf(node, 'id') ?? '';
    const channel = Number(id);
    if (Number.isInteger(channel) && channel >= 1)
      channels.set(channel, { channel, name: short(textOf(node, 'name')), online: online(id) });
  }
  return [...channels.values()].sort((a, b) => a.channel - b.channel);
}

/** Undefined where this kind of recorder does not have the address; what has to do with login or reach is thrown. */
async function orNothing(ask: () => Promise<XmlNode>): Promise<XmlNode | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (
      !(error instanceof AgentError) ||
      isFault(error, 'recorder.unreachable', 'recorder.unauthorized', 'recorder.locked_out', 'recorder.busy')
    )
      throw error;
    return undefined;
  }
}

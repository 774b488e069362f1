import type { CatalogueChannel } from './catalogue';
import type { Faults } from './faults';
import type { WallClock } from './wall-clock';
import { document, type Element } from './xml';

export interface SystemDeps {
  readonly options: { readonly name: string; readonly model: string; readonly serialNumber: string; readonly firmware: string };
  readonly channels: ReadonlyMap<number, CatalogueChannel>;
  readonly clock: WallClock;
  readonly faults: Faults;
}

/** What a recorder tells about itself, by method and path; undefined for an address it does not know. */
export function systemAnswer(route: string, { options, channels, clock, faults }: SystemDeps): string | undefined {
  const write = (root: string, children: readonly Element[]): string => document(root, children, faults);
  const all = [...channels.values()];
  switch (route) {
    case 'GET /ISAPI/Security/userCheck':
      return write('userCheck', [
        ['statusValue', 200],
        ['statusString', 'OK'],
        ['isActivated', true],
      ]);
    case 'GET /ISAPI/System/deviceInfo':
      return write('DeviceInfo', [
        ['deviceName', options.name],
        ['deviceID', '48384c00-0000-1000-8000-000000000000'],
        ['model', options.model],
        ['serialNumber', options.serialNumber],
        ['macAddress', '00:00:5e:00:53:01'],
        ['firmwareVersion', options.firmware],
        ['firmwareReleasedDate', 'build 240108'],
        ['deviceType', 'NVR'],
      ]);
    case 'GET /ISAPI/System/time':
      return write('Time', [
        ['timeMode', 'NTP'],
        ['localTime', clock.localTime()],
        ['timeZone', clock.posixZone()],
      ]);
    case 'GET /ISAPI/System/status':
      return write('DeviceStatus', [
        ['currentDeviceTime', clock.localTime()],
        ['deviceUpTime', 86_400],
      ]);
    case 'GET /ISAPI/ContentMgmt/InputProxy/channels':
      return write(
        'InputProxyChannelList',
        all.map((c) => [
          'InputProxyChannel',
          [
            ['id', c.channel],
            ['name', c.name],
            [
              'sourceInputPortDescriptor',
              [
                ['proxyProtocol', 'HIKVISION'],
                ['ipAddress', `192.0.2.${c.channel}`],
                ['managePortNo', 8000],
                ['srcInputPort', 1],
              ],
            ],
          ],
        ]),
      );
    case 'GET /ISAPI/ContentMgmt/InputProxy/channels/status':
      return write(
        'InputProxyChannelStatusList',
        all.map((c) => [
          'InputProxyChannelStatus',
          [
            ['id', c.channel],
            ['online', c.online],
          ],
        ]),
      );
    case 'GET /ISAPI/Streaming/channels':
      return write(
        'StreamingChannelList',
        all.map((c) => [
          'StreamingChannel',
          [
            ['id', c.channel * 100 + 1],
            ['channelName', c.name],
            ['enabled', true],
            ['Video', [['videoCodecType', codecOf(c)]]],
          ],
        ]),
      );
    case 'GET /ISAPI/ContentMgmt/Storage':
    case 'GET /ISAPI/ContentMgmt/Storage/status':
      return write('storage', [
        [
          'hddList',
          [
            [
              'hdd',
              [
                ['id', 1],
                ['hddName', 'hdda'],
                ['status', 'ok'],
                ['capacity', 3_815_447],
                ['freeSpace', 0],
              ],
            ],
          ],
        ],
      ]);
    default:
      return undefined;
  }
}

const codecOf = (channel: CatalogueChannel): string =>
  (channel.segments[0]?.codec ?? channel.virtual?.codec) === 'hevc' ? 'H.265' : 'H.264';

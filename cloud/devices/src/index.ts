/** Edges, recorders, cameras, the MQTT hub they connect to, and the calls made to them. */
import { join } from 'node:path';

export type { AreasPort, HeldArea } from './areas';
export { countOnAreas, moveOnAreas } from './areas.store';
export { createDevices, type Devices, type DevicesDeps } from './create-devices';
export { devicesErrors } from './devices.errors';
export { devicesGrpcService } from './devices.grpc';
export { DevicesModule } from './devices.module';
export { defaultHubSettings, type HubSettings } from './hub/hub-settings';
export { devicesGroup } from './recorders/apply-recorder-report';
export type { SignCrops } from './rpc/answer-call';

/** For `migrate(url, 'devices', devicesMigrations)`. */
export const devicesMigrations = join(__dirname, '../migrations');

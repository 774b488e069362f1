import { type DynamicModule, Module } from '@nestjs/common';
import type { Devices } from './create-devices';
import { DevicesConsumer } from './devices.consumer';
import { CamerasController, EdgesController, ProvisioningKeysController, RecordersController } from './devices.controller';
import { DEVICES } from './devices.token';

@Module({})
export class DevicesModule {
  /** HTTP and consumers; the hub is started and stopped by whoever made it. `consume: false` for a replica that only answers HTTP. */
  static forRoot(devices: Devices, options: { consume?: boolean } = {}): DynamicModule {
    return {
      module: DevicesModule,
      controllers: [
        ProvisioningKeysController,
        EdgesController,
        RecordersController,
        CamerasController,
        ...(options.consume === false ? [] : [DevicesConsumer]),
      ],
      providers: [{ provide: DEVICES, useValue: devices }],
    };
  }
}

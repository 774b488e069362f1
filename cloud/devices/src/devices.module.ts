import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { leaveBodiesUnread } from '@star/platform/nest';
import type { Devices } from './create-devices';
import { DevicesConsumer } from './devices.consumer';
import { CamerasController, EdgesController, ProvisioningKeysController, RecordersController } from './devices.controller';
import { DEVICES } from './devices.token';
import { packageTypes, SoftwareController } from './ota/software.controller';

@Module({})
export class DevicesModule implements OnModuleInit {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  /** HTTP and consumers; the hub is started and stopped by whoever made it. `consume: false` for a replica that only answers HTTP. */
  static forRoot(devices: Devices, options: { consume?: boolean } = {}): DynamicModule {
    return {
      module: DevicesModule,
      controllers: [
        ProvisioningKeysController,
        EdgesController,
        RecordersController,
        CamerasController,
        SoftwareController,
        ...(options.consume === false ? [] : [DevicesConsumer]),
      ],
      providers: [{ provide: DEVICES, useValue: devices }],
    };
  }

  onModuleInit(): void {
    leaveBodiesUnread(this.host, packageTypes);
  }
}

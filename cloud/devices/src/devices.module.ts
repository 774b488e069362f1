import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Devices } from './create-devices';
import { DevicesConsumer } from './devices.consumer';
import { CamerasController, EdgesController, ProvisioningKeysController, RecordersController } from './devices.controller';
import { DEVICES } from './devices.token';
import { packageTypes, SoftwareController } from './ota/software.controller';

/** The part of Fastify that lets a body through unread. */
interface BodyParsers {
  hasContentTypeParser(type: string): boolean;
  addContentTypeParser(
    type: string,
    parse: (request: unknown, payload: unknown, done: (error: Error | null, body?: unknown) => void) => void,
  ): void;
}

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
    const fastify = this.host.httpAdapter?.getInstance<BodyParsers>();
    for (const type of packageTypes) {
      if (fastify && !fastify.hasContentTypeParser(type)) fastify.addContentTypeParser(type, (_request, _payload, done) => done(null));
    }
  }
}

import { type DynamicModule, Module } from '@nestjs/common';
import { ApiKeysController } from './api-keys/api-keys.controller';
import type { Tenants } from './create-tenants';
import { TenantsController } from './tenants.controller';
import { TENANTS } from './tenants.token';

@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return {
      module: TenantsModule,
      controllers: [TenantsController, ApiKeysController],
      providers: [{ provide: TENANTS, useValue: tenants }],
    };
  }
}

import { type DynamicModule, Module } from '@nestjs/common';
import { ApiKeysController } from './api-keys/api-keys.controller';
import { AreasController } from './areas/areas.controller';
import type { Tenants } from './create-tenants';
import { GrantsController } from './grants/grants.controller';
import { TENANTS } from './tenants.token';
import { MeController, UsersController } from './users/users.controller';

@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return {
      module: TenantsModule,
      controllers: [ApiKeysController, MeController, UsersController, AreasController, GrantsController],
      providers: [{ provide: TENANTS, useValue: tenants }],
    };
  }
}

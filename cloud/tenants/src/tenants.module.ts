import { type DynamicModule, Module } from '@nestjs/common';
import type { Tenants } from './create-tenants';
import { TenantsController } from './tenants.controller';
import { TENANTS } from './tenants.token';
import { MeController, UsersController } from './users/users.controller';

@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return {
      module: TenantsModule,
      controllers: [TenantsController, MeController, UsersController],
      providers: [{ provide: TENANTS, useValue: tenants }],
    };
  }
}

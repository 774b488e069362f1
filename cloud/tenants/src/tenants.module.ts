import { type DynamicModule, Module } from '@nestjs/common';
import { AreasController } from './areas/areas.controller';
import type { Tenants } from './create-tenants';
import { GrantsController } from './grants/grants.controller';
import { TenantsController } from './tenants.controller';
import { TENANTS } from './tenants.token';

@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return {
      module: TenantsModule,
      controllers: [TenantsController, AreasController, GrantsController],
      providers: [{ provide: TENANTS, useValue: tenants }],
    };
  }
}

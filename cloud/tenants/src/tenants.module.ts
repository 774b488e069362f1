import { type DynamicModule, Module } from '@nestjs/common';
import type { Tenants } from './create-tenants';
import { TENANTS, TenantsController } from './tenants.controller';

@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return { module: TenantsModule, controllers: [TenantsController], providers: [{ provide: TENANTS, useValue: tenants }] };
  }
}

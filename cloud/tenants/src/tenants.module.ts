import { type DynamicModule, Module } from '@nestjs/common';
import type { Tenants } from './create-tenants';
import { TENANTS, TenantsController } from './tenants.controller';

// biome-ignore lint/complexity/noStaticOnlyClass: Nest's form of a module with settings
@Module({})
export class TenantsModule {
  static forRoot(tenants: Tenants): DynamicModule {
    return { module: TenantsModule, controllers: [TenantsController], providers: [{ provide: TENANTS, useValue: tenants }] };
  }
}

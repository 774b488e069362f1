import { Controller, Inject } from '@nestjs/common';
import type { BusRecord } from '@star/platform';
import { OnEvent } from '@star/platform/nest';
import type { TenantLife } from './create-tenant-life';
import { TENANT_LIFE } from './tenant-life.token';

/** The consumer group of tenants, also where it shares a process with other services. */
export const tenantsGroup = 'tenants';

@Controller()
export class TenantLifeConsumer {
  constructor(@Inject(TENANT_LIFE) private readonly life: TenantLife) {}

  @OnEvent('tenant.part.finished.v1', tenantsGroup)
  partFinished(record: BusRecord<'tenant.part.finished.v1'>) {
    return this.life.finishPart(record);
  }

  @OnEvent('tenant.updated.v1', tenantsGroup)
  tenantUpdated(record: BusRecord<'tenant.updated.v1'>) {
    return this.life.forgetCached(record);
  }

  @OnEvent('config.updated.v1', tenantsGroup)
  configUpdated(record: BusRecord<'config.updated.v1'>) {
    return this.life.forgetCached(record);
  }
}

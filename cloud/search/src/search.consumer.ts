import { Controller, Inject } from '@nestjs/common';
import type { BusRecord } from '@star/platform';
import { OnEvent, OnEvents } from '@star/platform/nest';
import type { SearchService } from './create-search';
import { SEARCH } from './search.token';

/** The consumer group of search, also where it shares a process with other services. */
export const searchGroup = 'search';

@Controller()
export class SearchConsumer {
  constructor(@Inject(SEARCH) private readonly search: SearchService) {}

  @OnEvent('search.progressed.v1', searchGroup)
  report(record: BusRecord<'search.progressed.v1'>) {
    return this.search.takeReport(record);
  }

  @OnEvents('device.rpc.finished.v1', searchGroup)
  rpcResults(records: readonly BusRecord<'device.rpc.finished.v1'>[]) {
    return this.search.takeRpcResults(records);
  }

  @OnEvent('software.assigned.v1', searchGroup)
  assigned(record: BusRecord<'software.assigned.v1'>) {
    return this.search.takeAssignment(record);
  }

  @OnEvent('tenant.updated.v1', searchGroup)
  tenantUpdated(record: BusRecord<'tenant.updated.v1'>) {
    return this.search.followTenant(record);
  }

  @OnEvent('tenant.part.requested.v1', searchGroup)
  tenantPart(record: BusRecord<'tenant.part.requested.v1'>) {
    return this.search.doTenantPart(record);
  }
}

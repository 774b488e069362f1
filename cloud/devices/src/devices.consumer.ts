import { Controller, Inject } from '@nestjs/common';
import type { BusRecord } from '@star/platform';
import { OnEvent, OnEvents } from '@star/platform/nest';
import type { Devices } from './create-devices';
import { DEVICES } from './devices.token';
import { devicesGroup } from './recorders/apply-recorder-report';

@Controller()
export class DevicesConsumer {
  constructor(@Inject(DEVICES) private readonly devices: Devices) {}

  @OnEvents('search.task.requested.v1', devicesGroup)
  tasksRequested(records: readonly BusRecord<'search.task.requested.v1'>[]) {
    return this.devices.requestTasks(records);
  }

  @OnEvent('device.recorder.reported.v1', devicesGroup)
  recorderReported(record: BusRecord<'device.recorder.reported.v1'>) {
    return this.devices.applyRecorderReport(record);
  }

  @OnEvent('tenant.updated.v1', devicesGroup)
  tenantUpdated(record: BusRecord<'tenant.updated.v1'>) {
    return this.devices.followTenant(record);
  }

  @OnEvent('tenant.part.requested.v1', devicesGroup)
  tenantPart(record: BusRecord<'tenant.part.requested.v1'>) {
    return this.devices.doTenantPart(record);
  }
}

import { Controller, Get, Inject } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer } from '@star/platform/nest';
import { calibration, packInUse } from '@stardipper/proto';
import type { SearchService } from '../create-search';
import { SEARCH } from '../search.token';

@Controller('api/v1/packs')
export class PacksController {
  constructor(@Inject(SEARCH) private readonly search: SearchService) {}

  @Get('in-use')
  @ZodAnswer(packInUse)
  inUse(@CurrentCaller() caller: Caller) {
    return this.search.readPackInUse(caller.tenantId);
  }

  @Get('in-use/calibration')
  @ZodAnswer(calibration)
  calibration(@CurrentCaller() caller: Caller) {
    return this.search.readCalibration(caller);
  }
}

import { Controller, Delete, Get, HttpCode, Inject, Patch, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import * as api from '@stardipper/proto';
import { z } from 'zod';
import type { Tenants } from '../create-tenants';
import { TENANTS } from '../tenants.token';

const id = api.uuid;
const areasQuery = z.strictObject({ cursor: z.string().max(512).optional(), limit: z.coerce.number().int().min(1).max(500).default(200) });

@Controller('api/v1/areas')
export class AreasController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get()
  @ZodAnswer(api.page(api.area))
  list(@CurrentCaller() caller: Caller, @ZodQuery(areasQuery) query: z.infer<typeof areasQuery>) {
    return this.tenants.readAreas(caller, query);
  }

  @Post()
  @ZodAnswer(api.area, 201)
  create(@CurrentCaller() caller: Caller, @ZodBody(api.createArea) input: z.infer<typeof api.createArea>) {
    return this.tenants.createArea(caller, input);
  }

  @Get(':areaId')
  @ZodAnswer(api.area)
  get(@CurrentCaller() caller: Caller, @ZodParam('areaId', id) areaId: string) {
    return this.tenants.readArea(caller, areaId);
  }

  @Patch(':areaId')
  @ZodAnswer(api.area)
  rename(
    @CurrentCaller() caller: Caller,
    @ZodParam('areaId', id) areaId: string,
    @ZodBody(api.renameArea) input: z.infer<typeof api.renameArea>,
  ) {
    return this.tenants.renameArea(caller, areaId, input.name);
  }

  @Post(':areaId/move')
  @HttpCode(200)
  @ZodAnswer(api.area)
  move(
    @CurrentCaller() caller: Caller,
    @ZodParam('areaId', id) areaId: string,
    @ZodBody(api.moveArea) input: z.infer<typeof api.moveArea>,
  ) {
    return this.tenants.moveArea(caller, areaId, input.parentId);
  }

  @Post(':areaId/merge')
  @HttpCode(200)
  @ZodAnswer(api.area)
  merge(
    @CurrentCaller() caller: Caller,
    @ZodParam('areaId', id) areaId: string,
    @ZodBody(api.mergeArea) input: z.infer<typeof api.mergeArea>,
  ) {
    return this.tenants.mergeAreas(caller, areaId, input.intoId);
  }

  @Delete(':areaId')
  @HttpCode(204)
  remove(@CurrentCaller() caller: Caller, @ZodParam('areaId', id) areaId: string) {
    return this.tenants.removeArea(caller, areaId);
  }
}

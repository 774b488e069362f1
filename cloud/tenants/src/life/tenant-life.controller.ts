import { Controller, Delete, Get, HttpCode, Inject, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { createTenant, deleteTenantQuery, disableTenant, page, tenant, tenantDetail, tenantExport, tenantStates } from '@stardipper/proto';
import { z } from 'zod';
import type { TenantLife } from './create-tenant-life';
import { TENANT_LIFE } from './tenant-life.token';

const listQuery = z.strictObject({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  state: z.enum(tenantStates).optional(),
  name: z.string().max(120).optional(),
});
const id = z.uuid().toLowerCase();

@Controller('api/v1/tenants')
export class TenantLifeController {
  constructor(@Inject(TENANT_LIFE) private readonly life: TenantLife) {}

  @Get()
  @ZodAnswer(page(tenant))
  list(@ZodQuery(listQuery) query: z.infer<typeof listQuery>) {
    return this.life.readTenants({
      limit: query.limit,
      ...(query.cursor && { cursor: query.cursor }),
      ...(query.state && { state: query.state }),
      ...(query.name && { name: query.name }),
    });
  }

  @Post()
  @HttpCode(202)
  @ZodAnswer(tenantDetail, 202)
  open(@CurrentCaller() caller: Caller, @ZodBody(createTenant) input: z.infer<typeof createTenant>) {
    return this.life.openTenant(caller, input);
  }

  @Get(':tenantId')
  @ZodAnswer(tenantDetail)
  read(@ZodParam('tenantId', id) tenantId: string) {
    return this.life.readTenant(tenantId);
  }

  @Delete(':tenantId')
  @ZodAnswer(tenantDetail)
  delete(
    @CurrentCaller() caller: Caller,
    @ZodParam('tenantId', id) tenantId: string,
    @ZodQuery(deleteTenantQuery) query: z.infer<typeof deleteTenantQuery>,
  ) {
    return this.life.deleteTenant(caller, tenantId, query);
  }

  @Post(':tenantId/enable')
  @HttpCode(200)
  @ZodAnswer(tenantDetail)
  enable(@CurrentCaller() caller: Caller, @ZodParam('tenantId', id) tenantId: string) {
    return this.life.enableTenant(caller, tenantId);
  }

  @Post(':tenantId/disable')
  @HttpCode(200)
  @ZodAnswer(tenantDetail)
  disable(
    @CurrentCaller() caller: Caller,
    @ZodParam('tenantId', id) tenantId: string,
    @ZodBody(disableTenant) input: z.infer<typeof disableTenant>,
  ) {
    return this.life.disableTenant(caller, tenantId, input);
  }

  @Post(':tenantId/restore')
  @HttpCode(200)
  @ZodAnswer(tenantDetail)
  restore(@CurrentCaller() caller: Caller, @ZodParam('tenantId', id) tenantId: string) {
    return this.life.restoreTenant(caller, tenantId);
  }

  @Post(':tenantId/export')
  @HttpCode(202)
  @ZodAnswer(tenantExport, 202)
  export(@CurrentCaller() caller: Caller, @ZodParam('tenantId', id) tenantId: string) {
    return this.life.exportTenant(caller, tenantId);
  }

  @Get(':tenantId/export')
  @ZodAnswer(tenantExport)
  exported(@CurrentCaller() caller: Caller, @ZodParam('tenantId', id) tenantId: string) {
    return this.life.readExport(caller, tenantId);
  }
}

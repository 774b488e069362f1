import { Controller, Delete, Get, HttpCode, Inject, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import * as api from '@stardipper/proto';
import { z } from 'zod';
import type { Tenants } from '../create-tenants';
import { TENANTS } from '../tenants.token';

const id = api.uuid;
const grantsQuery = z.strictObject({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  userId: id.optional(),
  areaId: id.optional(),
});

@Controller('api/v1/grants')
export class GrantsController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get()
  @ZodAnswer(api.page(api.grant))
  list(@CurrentCaller() caller: Caller, @ZodQuery(grantsQuery) query: z.infer<typeof grantsQuery>) {
    return this.tenants.readGrants(caller, query);
  }

  @Post()
  @ZodAnswer(api.grant, 201)
  give(@CurrentCaller() caller: Caller, @ZodBody(api.createGrant) input: z.infer<typeof api.createGrant>) {
    return this.tenants.giveGrant(caller, input);
  }

  @Delete(':grantId')
  @HttpCode(204)
  withdraw(@CurrentCaller() caller: Caller, @ZodParam('grantId', id) grantId: string) {
    return this.tenants.withdrawGrant(caller, grantId);
  }
}

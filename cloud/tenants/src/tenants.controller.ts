import { Controller, Get, Inject } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodQuery } from '@star/platform/nest';
import { page } from '@stardipper/proto';
import { z } from 'zod';
import { auditLine } from './audit';
import type { Tenants } from './create-tenants';
import { TENANTS } from './tenants.token';

const cursor = z.string().max(512).optional();
const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);
const auditQuery = z.strictObject({ cursor, limit: limit(200, 50), action: z.string().max(64).optional() });

@Controller('api/v1')
export class TenantsController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get('audit')
  @ZodAnswer(page(auditLine))
  audit(@CurrentCaller() caller: Caller, @ZodQuery(auditQuery) query: z.infer<typeof auditQuery>) {
    return this.tenants.readAudit(caller, query);
  }
}

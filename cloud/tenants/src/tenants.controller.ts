import { Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodQuery } from '@star/platform/nest';
import { community, createCommunity, logIn, page, session } from '@stardipper/proto';
import { z } from 'zod';
import { auditLine } from './audit';
import type { Tenants } from './create-tenants';
import { TENANTS } from './tenants.token';

const cursor = z.string().max(512).optional();
const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);
const communitiesQuery = z.strictObject({ cursor, limit: limit(200, 50) });
const auditQuery = z.strictObject({ cursor, limit: limit(200, 50), action: z.string().max(64).optional() });

@Controller('api/v1')
export class TenantsController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Post('session')
  @HttpCode(200)
  @ZodAnswer(session)
  logIn(@ZodBody(logIn) input: z.infer<typeof logIn>) {
    return this.tenants.logIn(input);
  }

  @Get('me')
  @ZodAnswer(session.shape.user)
  me(@CurrentCaller() caller: Caller) {
    return this.tenants.whoAmI(caller);
  }

  @Get('communities')
  @ZodAnswer(page(community))
  communities(@CurrentCaller() caller: Caller, @ZodQuery(communitiesQuery) query: z.infer<typeof communitiesQuery>) {
    return this.tenants.readCommunities(caller, query);
  }

  @Post('communities')
  @ZodAnswer(community, 201)
  createCommunity(@CurrentCaller() caller: Caller, @ZodBody(createCommunity) input: z.infer<typeof createCommunity>) {
    return this.tenants.createCommunity(caller, input);
  }

  @Get('audit')
  @ZodAnswer(page(auditLine))
  audit(@CurrentCaller() caller: Caller, @ZodQuery(auditQuery) query: z.infer<typeof auditQuery>) {
    return this.tenants.readAudit(caller, query);
  }
}

import { Controller, Get, HttpCode, Inject, Post, Put } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { approvalRequest, approvalRule, approvalStates, decideApproval, uuid as id, page, search as searchAnswer } from '@stardipper/proto';
import { z } from 'zod';
import type { SearchService } from '../create-search';
import { SEARCH } from '../search.token';

const approvalsQuery = z.strictObject({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
  state: z.enum(approvalStates).optional(),
});

@Controller('api/v1')
export class ApprovalsController {
  constructor(@Inject(SEARCH) private readonly search: SearchService) {}

  @Get('approvals')
  @ZodAnswer(page(approvalRequest))
  list(@CurrentCaller() caller: Caller, @ZodQuery(approvalsQuery) query: z.infer<typeof approvalsQuery>) {
    return this.search.readApprovals(caller, query);
  }

  @Get('approvals/rule')
  @ZodAnswer(approvalRule)
  rule(@CurrentCaller() caller: Caller) {
    return this.search.readApprovalRule(caller);
  }

  @Put('approvals/rule')
  @ZodAnswer(approvalRule)
  setRule(@CurrentCaller() caller: Caller, @ZodBody(approvalRule) input: z.infer<typeof approvalRule>) {
    return this.search.setApprovalRule(caller, input);
  }

  @Post('searches/:searchId/approval')
  @HttpCode(200)
  @ZodAnswer(searchAnswer)
  decide(
    @CurrentCaller() caller: Caller,
    @ZodParam('searchId', id) searchId: string,
    @ZodBody(decideApproval) input: z.infer<typeof decideApproval>,
  ) {
    return this.search.decideApproval(caller, searchId, input);
  }
}

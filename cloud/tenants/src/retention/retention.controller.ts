import { Controller, Get, Inject } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodQuery } from '@star/platform/nest';
import { page, shownRemoval } from '@stardipper/proto';
import { z } from 'zod';
import { AUDIT } from '../audit.controller';
import type { Audit } from '../create-audit';

const removalsQuery = z.strictObject({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

@Controller('api/v1/retention')
export class RetentionController {
  constructor(@Inject(AUDIT) private readonly audit: Audit) {}

  @Get()
  @ZodAnswer(page(shownRemoval))
  removals(@CurrentCaller() { tenantId }: Caller, @ZodQuery(removalsQuery) { cursor, limit }: z.infer<typeof removalsQuery>) {
    return this.audit.readRemovals(tenantId, { limit, ...(cursor && { cursor }) });
  }
}

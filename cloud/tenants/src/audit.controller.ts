import { Readable } from 'node:stream';
import { Controller, Get, Inject, StreamableFile } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodQuery } from '@star/platform/nest';
import { auditChain, auditExport, auditFilter, auditLine, page } from '@stardipper/proto';
import { z } from 'zod';
import type { Audit } from './create-audit';

export const AUDIT = Symbol('audit');

const auditQuery = auditFilter.extend({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

@Controller('api/v1/audit')
export class AuditController {
  constructor(@Inject(AUDIT) private readonly audit: Audit) {}

  @Get()
  @ZodAnswer(page(auditLine))
  lines(@CurrentCaller() caller: Caller, @ZodQuery(auditQuery) query: z.infer<typeof auditQuery>) {
    return this.audit.readAudit(caller, query);
  }

  @Get('export')
  async export(@CurrentCaller() caller: Caller, @ZodQuery(auditExport) query: z.infer<typeof auditExport>) {
    const { format, ...filter } = query;
    const pieces = await this.audit.exportAudit(caller, filter, format);
    return new StreamableFile(Readable.from(pieces, { objectMode: false }), {
      type: format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8',
      disposition: `attachment; filename="audit.${format}"`,
    });
  }

  @Get('chain')
  @ZodAnswer(auditChain)
  chain(@CurrentCaller() caller: Caller) {
    return this.audit.readChainState(caller);
  }
}

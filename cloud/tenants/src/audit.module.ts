import { type DynamicModule, Module } from '@nestjs/common';
import { AUDIT, AuditController } from './audit.controller';
import type { Audit } from './create-audit';
import { RetentionController } from './retention/retention.controller';

@Module({})
export class AuditModule {
  static forRoot(audit: Audit): DynamicModule {
    return { module: AuditModule, controllers: [AuditController, RetentionController], providers: [{ provide: AUDIT, useValue: audit }] };
  }
}

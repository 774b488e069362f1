import { type DynamicModule, Module } from '@nestjs/common';
import { AUDIT, AuditController } from './audit.controller';
import type { Audit } from './create-audit';

@Module({})
export class AuditModule {
  static forRoot(audit: Audit): DynamicModule {
    return { module: AuditModule, controllers: [AuditController], providers: [{ provide: AUDIT, useValue: audit }] };
  }
}

import { Controller, Delete, Get, HttpCode, Inject, Post } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { apiKey, createApiKey, createdApiKey, page, uuid } from '@stardipper/proto';
import { z } from 'zod';
import type { Tenants } from '../create-tenants';
import { TENANTS } from '../tenants.token';

const keysQuery = z.strictObject({ cursor: z.string().max(512).optional(), limit: z.coerce.number().int().min(1).max(200).default(50) });

@Controller('api/v1/api-keys')
export class ApiKeysController {
  constructor(@Inject(TENANTS) private readonly tenants: Tenants) {}

  @Get()
  @ZodAnswer(page(apiKey))
  list(@CurrentCaller() caller: Caller, @ZodQuery(keysQuery) query: z.infer<typeof keysQuery>) {
    return this.tenants.readApiKeys(caller, query);
  }

  @Post()
  @ZodAnswer(createdApiKey, 201)
  create(@CurrentCaller() caller: Caller, @ZodBody(createApiKey) input: z.infer<typeof createApiKey>) {
    return this.tenants.issueApiKey(caller, input);
  }

  @Delete(':keyId')
  @HttpCode(204)
  revoke(@CurrentCaller() caller: Caller, @ZodParam('keyId', uuid) keyId: string) {
    return this.tenants.withdrawApiKey(caller, keyId);
  }
}

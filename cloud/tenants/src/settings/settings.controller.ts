import { Controller, Get, Headers, Inject, Put } from '@nestjs/common';
import type { Caller } from '@star/platform';
import { CurrentCaller, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import {
  defaultTenantSettings,
  page,
  putSettings,
  settingsVersion,
  shownSettings,
  type TenantSettings,
  tenantChoices,
} from '@stardipper/proto';
import { z } from 'zod';
import type { TenantLife } from '../life/create-tenant-life';
import { TENANT_LIFE } from '../life/tenant-life.token';
import { tenantError } from '../tenants.errors';

const historyQuery = z.strictObject({
  cursor: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 40)
    .optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
const id = z.uuid().toLowerCase();
type Change = z.infer<typeof putSettings>;
const everything = Object.keys(defaultTenantSettings) as (keyof TenantSettings)[];

/** The version the change was made from: of the body, or of `If-Match: "3"`. */
function madeFrom(input: Change, ifMatch: string | undefined): { version: number; settings: TenantSettings } {
  const version = input.version ?? (/^"?(\d{1,12})"?$/.test(ifMatch ?? '') ? Number(ifMatch?.replaceAll('"', '')) : undefined);
  if (version === undefined) throw tenantError('settings.version_missing');
  return { version, settings: input.settings };
}

@Controller('api/v1')
export class SettingsController {
  constructor(@Inject(TENANT_LIFE) private readonly life: TenantLife) {}

  @Get('settings')
  @ZodAnswer(shownSettings)
  own(@CurrentCaller() { tenantId }: Caller) {
    return this.life.readSettings(tenantId, tenantChoices);
  }

  @Put('settings')
  @ZodAnswer(shownSettings)
  changeOwn(@CurrentCaller() caller: Caller, @ZodBody(putSettings) input: Change, @Headers('if-match') ifMatch?: string) {
    return this.life.changeSettings(caller, caller.tenantId, madeFrom(input, ifMatch), tenantChoices);
  }

  @Get('settings/history')
  @ZodAnswer(page(settingsVersion))
  ownHistory(@CurrentCaller() { tenantId }: Caller, @ZodQuery(historyQuery) { cursor, limit }: z.infer<typeof historyQuery>) {
    return this.life.readSettingsHistory(tenantId, { limit, ...(cursor && { cursor }) });
  }

  @Get('tenants/:tenantId/settings')
  @ZodAnswer(shownSettings)
  of(@ZodParam('tenantId', id) tenantId: string) {
    return this.life.readSettings(tenantId, everything);
  }

  @Put('tenants/:tenantId/settings')
  @ZodAnswer(shownSettings)
  change(
    @CurrentCaller() caller: Caller,
    @ZodParam('tenantId', id) tenantId: string,
    @ZodBody(putSettings) input: Change,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.life.changeSettings(caller, tenantId, madeFrom(input, ifMatch), everything);
  }

  @Get('tenants/:tenantId/settings/history')
  @ZodAnswer(page(settingsVersion))
  history(@ZodParam('tenantId', id) tenantId: string, @ZodQuery(historyQuery) { cursor, limit }: z.infer<typeof historyQuery>) {
    return this.life.readSettingsHistory(tenantId, { limit, ...(cursor && { cursor }) });
  }
}

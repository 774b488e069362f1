import type { Database, TokenIssuer, WriteEvent } from '@star/platform';

export interface TenantsDeps {
  readonly database: Database;
  readonly writeEvent: WriteEvent;
  readonly tokens: TokenIssuer;
  readonly now: () => Date;
}

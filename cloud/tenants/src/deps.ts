import type { Database, IdentityAdmin, WriteEvent } from '@star/platform';

export interface TenantsDeps {
  readonly database: Database;
  readonly writeEvent: WriteEvent;
  readonly identity: IdentityAdmin;
}

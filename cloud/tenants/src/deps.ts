import type { Database, EndTokens, IdentityAdmin } from '@star/platform';
import type { HangsOnAreas } from './areas/ports';

export interface TenantsDeps {
  readonly database: Database;
  readonly identity: IdentityAdmin;
  readonly endTokens: EndTokens;
  readonly now?: () => Date;
  /** What other services hang on areas; nothing unless told. */
  readonly hanging?: readonly HangsOnAreas[];
}

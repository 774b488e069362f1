import type { Database, TokenIssuer, WriteEvent } from '@star/platform';
import type { HangsOnAreas } from './areas/ports';

export interface TenantsDeps {
  readonly database: Database;
  readonly writeEvent: WriteEvent;
  readonly tokens: TokenIssuer;
  readonly now: () => Date;
  /** What other services hang on areas; nothing unless told. */
  readonly hanging?: readonly HangsOnAreas[];
}

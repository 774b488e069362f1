import type { AreasVisibleTo, Database } from '@star/platform';
import type { HangsOnAreas } from './ports';

export interface AreasDeps {
  readonly database: Database;
  readonly areasVisibleTo: AreasVisibleTo;
  /** What this process remembers of a tenant's grants and tree; others hear of the change from the database. */
  readonly forgetAreas: (tenantId: string) => void;
  readonly hanging: readonly HangsOnAreas[];
}

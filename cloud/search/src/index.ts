/** People, searches, tasks, matches and the coverage ledger. */
import { join } from 'node:path';

export { createSearch, type SearchOptions, type SearchService } from './create-search';
export { connectMizar, type MizarEmbedder } from './packs/mizar-client';
export { sealOldEmbeddings } from './people/seal-old-embeddings';
export {
  defaultSearchSettings,
  type EdgeDirectory,
  type EmbeddedFace,
  type Embedders,
  type FaceEmbedder,
  type Pack,
  type PackArchive,
  type SearchSettings,
} from './ports';
export { searchGroup } from './search.consumer';
export { searchErrors } from './search.errors';
export { SearchModule } from './search.module';

/** For `migrate(url, 'search', searchMigrations)`. */
export const searchMigrations = join(__dirname, '../migrations');
/** For `analytics.migrate('search', searchAnalytics)`. */
export const searchAnalytics = join(__dirname, '../analytics');

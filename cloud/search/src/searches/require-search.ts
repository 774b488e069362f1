import type { Tx } from '@star/platform';
import { searchError } from '../search.errors';
import { findSearch, type SearchRow } from './search.store';

export async function requireSearch(tx: Tx, searchId: string): Promise<SearchRow> {
  const row = await findSearch(tx, searchId);
  if (!row) throw searchError('search.not_found', { searchId });
  return row;
}

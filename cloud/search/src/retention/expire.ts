import type { SweepTenant } from '@star/platform';
import type { SearchDeps } from '../ports';
import { expireCrops } from './expire-crops';
import { expireMatches } from './expire-matches';
import { expirePhotos } from './expire-photos';

/** Pictures before matches: a match tells when the face in its picture was seen. What one cannot do the others do all the same. */
export const expireOfSearch = (deps: SearchDeps): SweepTenant => {
  const parts = [expireCrops(deps), expireMatches(deps), expirePhotos(deps)];
  return async (tenantId, runId, signal) => {
    const failures: unknown[] = [];
    for (const part of parts) await part(tenantId, runId, signal).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'several kinds could not be removed');
  };
};

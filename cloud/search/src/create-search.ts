import { setTimeout as sleep } from 'node:timers/promises';
import { doTenantPart } from '@star/platform';
import { readCalibration } from './calibration.read';
import { cancelSearch, deleteSearch } from './cancel-search';
import { deleteDoomed } from './delete-doomed';
import { draftSearch } from './draft-search';
import { keepPhotosEmbedded } from './embed-waiting-photos';
import { expireTasks } from './expire-tasks';
import { createSignals, followSearch } from './follow-search';
import { followTenant } from './library/follow-tenant';
import { deleteLibrary, insertLibrary } from './library/library.store';
import { readMatches, setVerdict } from './matches';
import { readPackInUse } from './pack.read';
import { addPhoto, changePerson, createPerson, deletePerson, deletePhoto, getPeople, getPerson } from './people';
import { defaultSearchSettings, type SearchDeps, type SearchSettings } from './ports';
import { readCoveragePage, readSearch, readSearches } from './search.read';
import { startSearch } from './start-search';
import { takeReport } from './take-report';
import { takeRpcResult } from './take-rpc-result';

export interface SearchOptions extends Omit<SearchDeps, 'settings' | 'now'> {
  readonly settings?: Partial<SearchSettings>;
  readonly now?: () => Date;
  /** What the sweep could not do; it tries again. */
  readonly onSweepError?: (error: unknown) => void;
  /** Why photos cannot be embedded at the moment; it tries again. */
  readonly onEmbedError?: (error: unknown) => void;
}

/** The use cases of search. Nothing runs until `run`. */
export function createSearch(options: SearchOptions) {
  const deps: SearchDeps = {
    ...options,
    now: options.now ?? (() => new Date()),
    settings: { ...defaultSearchSettings, ...options.settings },
  };
  const signals = createSignals();
  const expire = expireTasks(deps);
  const sweepDoomed = deleteDoomed(deps);
  return {
    createPerson: createPerson(deps),
    changePerson: changePerson(deps),
    getPerson: getPerson(deps),
    getPeople: getPeople(deps),
    deletePerson: deletePerson(deps),
    addPhoto: addPhoto(deps),
    deletePhoto: deletePhoto(deps),
    readPackInUse: readPackInUse(deps),
    readCalibration: readCalibration(deps),
    draftSearch: draftSearch(deps),
    startSearch: startSearch(deps),
    cancelSearch: cancelSearch(deps),
    deleteSearch: deleteSearch(deps),
    readSearch: readSearch(deps),
    readSearches: readSearches(deps),
    readCoverage: readCoveragePage(deps),
    readMatches: readMatches(deps),
    setVerdict: setVerdict(deps),
    followSearch: followSearch(deps, signals),
    takeReport: takeReport(deps),
    takeRpcResult: takeRpcResult(deps),
    followTenant: followTenant(deps),
    doTenantPart: doTenantPart({
      ...deps,
      service: 'search',
      prepare: async (tx, tenantId) => void (await insertLibrary(tx, tenantId)),
      discard: async (tx, tenantId) => void (await deleteLibrary(tx, tenantId)),
      removeOutside: (tenantId) => deps.analytics.forTenant(tenantId).removeAll(),
    }),
    expireTasks: expire,
    deleteDoomed: sweepDoomed,
    /** Hears changes for followers, sweeps and keeps photos embedded, until `signal` aborts. Resolves when changes are heard. */
    async run(signal: AbortSignal): Promise<void> {
      await signals.listen(deps.database, signal);
      void keepPhotosEmbedded(deps, signal, options.onEmbedError);
      void sweep(signal, deps.settings.sweepEveryMs, [expire, sweepDoomed], options.onSweepError);
    },
  };
}

export type SearchService = ReturnType<typeof createSearch>;

async function sweep(
  signal: AbortSignal,
  everyMs: number,
  jobs: readonly (() => Promise<unknown>)[],
  onError?: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    for (const job of jobs) await job().catch((error: unknown) => onError?.(error));
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

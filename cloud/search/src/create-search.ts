import { setTimeout as sleep } from 'node:timers/promises';
import { doTenantPart, keepSweepingTenants, type LimitsOf, limitsByDefault, type RequireStorage, sweepTenants } from '@star/platform';
import { isApprovalRequired } from './approvals/approval.store';
import { decideApproval, lapseApprovals, readApprovalRule, readApprovals, setApprovalRule } from './approvals/approve-search';
import { askBoxesToForget } from './forgetting/ask-boxes-to-forget';
import { deleteDoomed } from './forgetting/delete-doomed';
import { deletePerson } from './forgetting/delete-person';
import { readDeletion, readDeletions } from './forgetting/read-deletions';
import { followTenant } from './library/follow-tenant';
import { deleteLibrary, insertLibrary } from './library/library.store';
import { readAllMatches } from './matches/export-matches.store';
import { readMatches, setVerdict } from './matches/matches';
import { readCalibration } from './packs/calibration.read';
import { keepPacksReady } from './packs/keep-packs-ready';
import { readPackInUse } from './packs/pack.read';
import { takeAssignment } from './packs/take-assignment';
import { keepPhotosEmbedded } from './people/embed-waiting-photos';
import { addPhoto, changePerson, createPerson, deletePhoto, getPeople, getPerson } from './people/people';
import { defaultSearchSettings, type SearchDeps, type SearchSettings } from './ports';
import { expireOfSearch } from './retention/expire';
import { cancelSearch, deleteSearch } from './searches/cancel-search';
import { draftSearch } from './searches/draft-search';
import { expireTasks } from './searches/expire-tasks';
import { createSignals, followSearch } from './searches/follow-search';
import { readCoveragePage, readSearch, readSearches } from './searches/search.read';
import { onSeenSearch } from './searches/see-searches';
import { startSearch } from './searches/start-search';
import { takeReport } from './searches/take-report';
import { takeRpcResults } from './searches/take-rpc-results';

export interface SearchOptions extends Omit<SearchDeps, 'settings' | 'now' | 'limitsOf' | 'needsApproval' | 'requireStorage'> {
  /** The same for every tenant unless told. */
  readonly limitsOf?: LimitsOf;
  /** Without it there is room for everything. */
  readonly requireStorage?: RequireStorage;
  /** What the tenant chose by `setApprovalRule` unless told. */
  readonly needsApproval?: SearchDeps['needsApproval'];
  readonly settings?: Partial<SearchSettings>;
  readonly now?: () => Date;
  /** What the sweep could not do; it tries again. */
  readonly onSweepError?: (error: unknown) => void;
  /** Why packs cannot be made ready or photos embedded at the moment; it tries again. */
  readonly onEmbedError?: (error: unknown) => void;
}

/** The use cases of search. Nothing runs until `run`. */
export function createSearch(options: SearchOptions) {
  const deps: SearchDeps = {
    ...options,
    limitsOf: options.limitsOf ?? limitsByDefault,
    requireStorage: options.requireStorage ?? (async () => undefined),
    now: options.now ?? (() => new Date()),
    needsApproval: options.needsApproval ?? ((tenantId) => options.database.tenant(tenantId, (tx) => isApprovalRequired(tx, tenantId))),
    settings: { ...defaultSearchSettings, ...options.settings },
  };
  const signals = createSignals();
  const expire = expireTasks(deps);
  const sweepDoomed = deleteDoomed(deps);
  const lapse = lapseApprovals(deps);
  const forget = askBoxesToForget(deps);
  const retention = {
    retention: deps.retention,
    sweepTenant: expireOfSearch(deps),
    // Also of people and searches that were deleted.
    afterAll: () => deps.analytics.purge(),
    onError: options.onSweepError,
  };
  return {
    createPerson: createPerson(deps),
    changePerson: changePerson(deps),
    getPerson: getPerson(deps),
    getPeople: getPeople(deps),
    deletePerson: deletePerson(deps),
    readDeletion: readDeletion(deps),
    readDeletions: readDeletions(deps),
    askBoxesToForget: forget,
    addPhoto: addPhoto(deps),
    deletePhoto: deletePhoto(deps),
    readPackInUse: readPackInUse(deps),
    readCalibration: readCalibration(deps),
    draftSearch: draftSearch(deps),
    startSearch: onSeenSearch(deps, 'searches.write', startSearch(deps)),
    decideApproval: onSeenSearch(deps, 'searches.approve', decideApproval(deps)),
    readApprovals: readApprovals(deps),
    readApprovalRule: readApprovalRule(deps),
    setApprovalRule: setApprovalRule(deps),
    lapseApprovals: lapse,
    cancelSearch: onSeenSearch(deps, 'searches.write', cancelSearch(deps)),
    deleteSearch: onSeenSearch(deps, 'searches.write', deleteSearch(deps)),
    readSearch: onSeenSearch(deps, 'searches.read', ({ tenantId }, searchId) => readSearch(deps)(tenantId, searchId)),
    readSearches: readSearches(deps),
    readCoverage: onSeenSearch(deps, 'searches.read', readCoveragePage(deps)),
    readMatches: onSeenSearch(deps, 'searches.read', readMatches(deps)),
    setVerdict: onSeenSearch(deps, 'searches.write', setVerdict(deps)),
    followSearch: onSeenSearch(deps, 'searches.read', followSearch(deps, signals)),
    takeReport: takeReport(deps),
    takeRpcResults: takeRpcResults(deps),
    takeAssignment: takeAssignment(deps),
    followTenant: followTenant(deps),
    doTenantPart: doTenantPart({
      ...deps,
      service: 'search',
      prepare: async (tx, tenantId) => void (await insertLibrary(tx, tenantId)),
      discard: async (tx, tenantId) => void (await deleteLibrary(tx, tenantId)),
      readOutside: (tenantId) => readAllMatches(deps.analytics, tenantId),
      removeOutside: (tenantId) => deps.analytics.forTenant(tenantId).removeAll(),
    }),
    expireTasks: expire,
    deleteDoomed: sweepDoomed,
    /** One sweep of what is past its time; answers of how many tenants it could not be removed. */
    expire: (signal: AbortSignal) => sweepTenants(retention, signal),
    /** Hears changes for followers, sweeps, makes packs ready and keeps photos embedded, until `signal` aborts. Resolves when changes are heard. */
    async run(signal: AbortSignal): Promise<void> {
      await signals.listen(deps.database, signal);
      void keepPacksReady(deps, signal, options.onEmbedError);
      void keepPhotosEmbedded(deps, signal, options.onEmbedError);
      const { database, settings } = deps;
      void keepSweepingTenants({ ...retention, database, service: 'search', everyMs: settings.retentionEveryMs }, signal);
      void sweep(signal, deps.settings.sweepEveryMs, [expire, lapse, sweepDoomed, forget], options.onSweepError);
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

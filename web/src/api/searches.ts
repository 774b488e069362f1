import type { CoverageRow, CreateSearch, Match, Search } from '@stardipper/proto';
import { request, requestAll } from './client';
import { followEvents } from './events';

export const listSearches = () => requestAll<Search>('/searches?limit=50', 500);
export const getSearch = (id: string) => request<Search>('GET', `/searches/${id}`);
export const createSearch = (body: Omit<CreateSearch, 'priority' | 'threshold'> & Partial<CreateSearch>) =>
  request<Search>('POST', '/searches', body);
export const startSearch = (id: string) => request<Search>('POST', `/searches/${id}/start`);
export const cancelSearch = (id: string) => request<Search>('POST', `/searches/${id}/cancel`);
export const deleteSearch = (id: string) => request<void>('DELETE', `/searches/${id}`);
export const listMatches = (id: string) => requestAll<Match>(`/searches/${id}/matches?limit=200`, 100_000);
export const listCoverage = (id: string) => requestAll<CoverageRow>(`/searches/${id}/coverage?limit=2000`, 100_000);
export const setVerdict = (id: string, matchId: string, verdict: Match['verdict']) =>
  request<Match>('POST', `/searches/${id}/matches/${encodeURIComponent(matchId)}/verdict`, { verdict });
/** Calls `search` and `match` with what changes; answers what ends it. */
export const followSearch = (id: string, on: { search: (search: Search) => void; match: (match: Match) => void }): (() => void) =>
  followEvents(`/searches/${id}/events`, { search: (data) => on.search(data as Search), match: (data) => on.match(data as Match) });

import type { CoverageRow, CreateSearch, Match, Search } from '@stardipper/proto';
import { openEvents, request, requestAll } from './client';

export const listSearches = () => requestAll<Search>('/searches', 500);
export const getSearch = (id: string) => request<Search>('GET', `/searches/${id}`);
export const createSearch = (body: Omit<CreateSearch, 'priority' | 'threshold'> & Partial<CreateSearch>) =>
  request<Search>('POST', '/searches', body);
export const startSearch = (id: string) => request<Search>('POST', `/searches/${id}/start`);
export const cancelSearch = (id: string) => request<Search>('POST', `/searches/${id}/cancel`);
export const deleteSearch = (id: string) => request<void>('DELETE', `/searches/${id}`);
export const listMatches = (id: string) => requestAll<Match>(`/searches/${id}/matches`);
export const listCoverage = (id: string) => requestAll<CoverageRow>(`/searches/${id}/coverage`);
export const setVerdict = (id: string, matchId: string, verdict: Match['verdict']) =>
  request<Match>('POST', `/searches/${id}/matches/${encodeURIComponent(matchId)}/verdict`, { verdict });
export const followSearch = (id: string) => openEvents(`/searches/${id}/events`);

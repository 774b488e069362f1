import type { Page, ShownRemoval } from '@stardipper/proto';
import { request } from './client';

export const listRemovals = (cursor: string | null) =>
  request<Page<ShownRemoval>>('GET', `/retention?limit=20${cursor ? `&cursor=${cursor}` : ''}`);

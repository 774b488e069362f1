import type { ApiKey, CreatedApiKey, Page, Permission } from '@stardipper/proto';
import { request } from './client';

export const listApiKeys = (cursor: string | null) =>
  request<Page<ApiKey>>('GET', `/api-keys${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
export const createApiKey = (name: string, permissions: readonly Permission[], expiresAt: string | null) =>
  request<CreatedApiKey>('POST', '/api-keys', { name, permissions, expiresAt });
export const revokeApiKey = (id: string) => request<void>('DELETE', `/api-keys/${id}`);

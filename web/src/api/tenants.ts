import type { CreateTenant, Page, Tenant, TenantDetail, TenantExport } from '@stardipper/proto';
import { request } from './client';

export function listTenants(filter: { name?: string; state?: string; cursor?: string | null } = {}): Promise<Page<Tenant>> {
  const query = new URLSearchParams({ limit: '50' });
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  return request('GET', `/tenants?${query}`);
}

export const readTenant = (id: string) => request<TenantDetail>('GET', `/tenants/${id}`);
export const openTenant = (input: CreateTenant) => request<TenantDetail>('POST', '/tenants', input);
export const enableTenant = (id: string) => request<TenantDetail>('POST', `/tenants/${id}/enable`);
export const disableTenant = (id: string, reason: string) => request<TenantDetail>('POST', `/tenants/${id}/disable`, { reason });
export const deleteTenant = (id: string, graceDays: number) => request<TenantDetail>('DELETE', `/tenants/${id}?graceDays=${graceDays}`);
export const restoreTenant = (id: string) => request<TenantDetail>('POST', `/tenants/${id}/restore`);
export const exportTenant = (id: string) => request<TenantExport>('POST', `/tenants/${id}/export`);
export const readExport = (id: string) => request<TenantExport>('GET', `/tenants/${id}/export`);

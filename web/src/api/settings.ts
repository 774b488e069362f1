import type { Page, SettingsVersion, ShownSettings, TenantSettings } from '@stardipper/proto';
import { request } from './client';

/** The own tenant's, or as the provider another's. */
const at = (tenantId: string | undefined) => (tenantId ? `/tenants/${tenantId}/settings` : '/settings');

export const readSettings = (tenantId?: string) => request<ShownSettings>('GET', at(tenantId));
export const changeSettings = (tenantId: string | undefined, version: number, settings: TenantSettings) =>
  request<ShownSettings>('PUT', at(tenantId), { version, settings });
export const readHistory = (tenantId: string | undefined, cursor: string | null) =>
  request<Page<SettingsVersion>>('GET', `${at(tenantId)}/history?limit=20${cursor ? `&cursor=${cursor}` : ''}`);

import type { Area, AreaKind, Grant } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listAreas = () => requestAll<Area>('/areas?limit=500');
export const createArea = (kind: AreaKind, name: string, parentId: string | null) =>
  request<Area>('POST', '/areas', { kind, name, parentId });
export const renameArea = (id: string, name: string) => request<Area>('PATCH', `/areas/${id}`, { name });
export const moveArea = (id: string, parentId: string | null) => request<Area>('POST', `/areas/${id}/move`, { parentId });
export const mergeArea = (id: string, intoId: string) => request<Area>('POST', `/areas/${id}/merge`, { intoId });
export const deleteArea = (id: string) => request<void>('DELETE', `/areas/${id}`);
export const listGrants = () => requestAll<Grant>('/grants?limit=200');
export const giveGrant = (userId: string, areaId: string, role: Grant['role']) =>
  request<Grant>('POST', '/grants', { userId, areaId, role });
export const withdrawGrant = (id: string) => request<void>('DELETE', `/grants/${id}`);

import type { EdgeSoftware, Page, SoftwareAssignment, SoftwarePackage, SoftwareState } from '@stardipper/proto';
import { request, requestAll, upload } from './client';

export const listPackages = () => requestAll<SoftwarePackage>('/software/packages?limit=200');
export const deletePackage = (id: string) => request<void>('DELETE', `/software/packages/${id}`);
/** `progress` is told the share that has left, 0 to 1. */
export const uploadPackage = (title: string, version: string, file: File, progress: (share: number) => void, signal: AbortSignal) =>
  upload<SoftwarePackage>(`/software/packages?${new URLSearchParams({ title, version })}`, 'application/gzip', file, progress, signal);
export const getAssignment = () => request<SoftwareAssignment>('GET', '/software/assignment');
export const assign = (packageId: string) => request<SoftwareAssignment>('PUT', '/software/assignment', { packageId });
export const unassign = () => request<void>('DELETE', '/software/assignment');
export const listEdgeSoftware = (state: SoftwareState | 'none' | '', cursor: string | null) =>
  request<Page<EdgeSoftware>>(
    'GET',
    `/software/edges?${new URLSearchParams({ limit: '50', ...(state && { state }), ...(cursor && { cursor }) })}`,
  );

import type { Camera, Edge, ProvisioningKey, Recorder, RefusedEdge } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listEdges = () => requestAll<Edge>('/edges');
export const listCameras = () => requestAll<Camera>('/cameras');
export const listRecorders = (edgeId: string) => requestAll<Recorder>(`/edges/${edgeId}/recorders`);
export const createRecorder = (
  edgeId: string,
  body: { name: string; baseUrl: string; username: string; password: string; maxSessions: number },
) => request<Recorder>('POST', `/edges/${edgeId}/recorders`, body);
export const createProvisioningKey = (areaId: string) => request<ProvisioningKey>('POST', '/provisioning-keys', { areaId });
export const listRefusedEdges = () => requestAll<RefusedEdge>('/provisioning-keys/refusals');
export const placeEdge = (id: string, areaId: string) => request<Edge>('PATCH', `/edges/${id}`, { areaId });
/** Null: where its box stands. */
export const placeCamera = (id: string, areaId: string | null) => request<Camera>('PATCH', `/cameras/${id}`, { areaId });

import type { Camera, Edge, ProvisioningKey, Recorder, RefusedEdge } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listEdges = () => requestAll<Edge>('/edges?limit=200');
export const listCameras = () => requestAll<Camera>('/cameras?limit=200', 100_000);
export const listRecorders = (edgeId: string) => requestAll<Recorder>(`/edges/${edgeId}/recorders?limit=200`);
interface RecorderSettings {
  readonly name: string;
  readonly baseUrl: string;
  readonly username: string;
  readonly password: string;
  readonly maxSessions: number;
}
export const createRecorder = (edgeId: string, body: RecorderSettings) => request<Recorder>('POST', `/edges/${edgeId}/recorders`, body);
/** What is left out stays as it is. */
export const changeRecorder = (id: string, body: Partial<RecorderSettings>) => request<Recorder>('PATCH', `/recorders/${id}`, body);
export const deleteRecorder = (id: string) => request<void>('DELETE', `/recorders/${id}`);
export const createProvisioningKey = (areaId: string) => request<ProvisioningKey>('POST', '/provisioning-keys', { areaId });
export const listRefusedEdges = () => requestAll<RefusedEdge>('/provisioning-keys/refusals');
export const placeEdge = (id: string, areaId: string) => request<Edge>('PATCH', `/edges/${id}`, { areaId });
/** Null: where its box stands. */
export const placeCamera = (id: string, areaId: string | null) => request<Camera>('PATCH', `/cameras/${id}`, { areaId });

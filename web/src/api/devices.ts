import type { Camera, Community, Edge, ProvisioningKey, Recorder } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listCommunities = () => requestAll<Community>('/communities');
export const createCommunity = (name: string) => request<Community>('POST', '/communities', { name });
export const listEdges = () => requestAll<Edge>('/edges');
export const listCameras = () => requestAll<Camera>('/cameras');
export const listRecorders = (edgeId: string) => requestAll<Recorder>(`/edges/${edgeId}/recorders`);
export const createRecorder = (
  edgeId: string,
  body: { name: string; baseUrl: string; username: string; password: string; maxSessions: number },
) => request<Recorder>('POST', `/edges/${edgeId}/recorders`, body);
export const createProvisioningKey = (communityId: string) => request<ProvisioningKey>('POST', '/provisioning-keys', { communityId });

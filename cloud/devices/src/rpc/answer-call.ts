import { maxPayloadBytes, type SignCropUploadReply, signCropUploadParams } from '@stardipper/proto';
import type { EdgeIdentity } from '../edges/edge';
import type { HubSettings } from '../hub/hub-settings';

/** Signed addresses to which one edge may PUT these crops, and nothing else. */
export type SignCrops = (tenantId: string, edgeId: string, sightingIds: readonly string[]) => Promise<SignCropUploadReply['uploads']>;

export interface AnswerCallDeps {
  readonly signCrops: SignCrops;
  readonly settings: Pick<HubSettings, 'maxInFlight' | 'rateLimits'>;
}

/** Client-side RPC: what a device may ask of Star. An unknown method or wrong parameters are answered `{"error":code}`. */
export const answerCall =
  ({ signCrops, settings }: AnswerCallDeps) =>
  async (edge: EdgeIdentity, method: string, params: unknown): Promise<unknown> => {
    switch (method) {
      case 'getCurrentTime':
        return { currentTime: Date.now() };
      case 'getSessionLimits': {
        const set = Object.entries(settings.rateLimits).filter(([, limit]) => limit !== '');
        return { maxPayloadSize: maxPayloadBytes, maxInflightMessages: settings.maxInFlight, rateLimits: Object.fromEntries(set) };
      }
      case 'signCropUpload': {
        const parsed = signCropUploadParams.safeParse(params);
        if (!parsed.success) return { error: 'rpc.params_invalid' };
        return { uploads: await signCrops(edge.tenantId, edge.id, parsed.data.sightingIds) };
      }
      default:
        return { error: 'rpc.method_unknown' };
    }
  };

import { AgentError } from '@dipper/platform';

/** Every code Mizar can answer with. Codes and parameters are stable; texts are the caller's business. */
export const mizarErrors = {
  requestInvalid: (field: string) => new AgentError('request.invalid', 'invalid', { field }),
  /** No pack is configured, or it was refused; `code` says why. */
  packMissing: (code: string) => new AgentError('pack.missing', 'unavailable', { code }),
  packInvalid: (field: string, cause?: unknown) => new AgentError('pack.invalid', 'unprocessable', { field }, cause),
  packFileMissing: (field: string, cause?: unknown) => new AgentError('pack.file_missing', 'not_found', { field }, cause),
  packHashMismatch: (field: string, expected: string, found: string) =>
    new AgentError('pack.hash_mismatch', 'unprocessable', { field, expected, found }),
  /** It took the process that opened it with it. */
  packCrashes: (how: string) => new AgentError('pack.crashes', 'unprocessable', { how }),
  /** Embeddings of two packs are never compared. */
  packMismatch: (asked: string, loaded: string) => new AgentError('pack.mismatch', 'conflict', { asked, loaded }),
  segmentMissing: (cause?: unknown) => new AgentError('segment.missing', 'not_found', {}, cause),
  segmentCorrupt: (cause?: unknown) => new AgentError('segment.corrupt', 'unprocessable', {}, cause),
  segmentNoVideo: () => new AgentError('segment.no_video', 'unprocessable'),
  segmentTooLarge: (width: number, height: number) => new AgentError('segment.too_large', 'unprocessable', { width, height }),
  segmentStalled: (stalledMs: number) => new AgentError('segment.stalled', 'timeout', { stalledMs }),
  /** ffmpeg itself cannot be started. */
  decoderMissing: (cause?: unknown) => new AgentError('decoder.missing', 'unavailable', {}, cause),
  inferenceFailed: (cause?: unknown) => new AgentError('inference.failed', 'internal', {}, cause),
  busy: (queued: number) => new AgentError('mizar.busy', 'limited', { queued }),
  stopping: () => new AgentError('mizar.stopping', 'unavailable'),
  cancelled: () => new AgentError('mizar.cancelled', 'cancelled'),
  diskFull: (cause?: unknown) => new AgentError('index.disk_full', 'limited', {}, cause),
  photoUndecodable: (cause?: unknown) => new AgentError('photo.undecodable', 'unprocessable', {}, cause),
  photoNoFace: () => new AgentError('photo.no_face', 'unprocessable'),
  photoSeveralFaces: (count: number) => new AgentError('photo.several_faces', 'unprocessable', { count }),
  photoFaceTooSmall: (px: number, min: number) => new AgentError('photo.face_too_small', 'unprocessable', { px, min }),
  cropNotFound: (sightingId: string) => new AgentError('crop.not_found', 'not_found', { sightingId }),
};

/** Mizar: frames and faces. */
export { findFfmpeg } from './decode/ffmpeg';
export { FaceIndex } from './index-store/face-index.store';
export { type CheckOptions, checkPack } from './pack/check-pack';
export { knownPacks } from './pack/known-files';
export { loadPack, MAX_MODEL_BYTES, MAX_PACK_JSON_BYTES, readPackSpec } from './pack/load-pack';
export { type PackSpec, packJsonSchema, packSpec } from './pack/pack';
export { changePackInUse, type PackInUse, packFolder, packsFolder, readPackInUse } from './pack/pack-in-use';
export { type MizarRuntime, startMizar } from './start-mizar';

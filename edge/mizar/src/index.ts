/** Mizar: frames and faces. */
export { findFfmpeg } from './decode/ffmpeg';
export { FaceIndex } from './index-store/face-index.store';
export { knownPacks } from './pack/known-files';
export { loadPack } from './pack/load-pack';
export { type PackSpec, packSpec } from './pack/pack';
export { type MizarRuntime, startMizar } from './start-mizar';

/** Alioth: recorders. Lists and downloads footage within what each recorder can bear. */
export { type RecorderErrorCode, recorderErrors } from './recorder.errors';
export { startAlioth } from './start-alioth';

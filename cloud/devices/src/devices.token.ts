/** What Nest injects the use cases under. */
export const DEVICES = Symbol('devices');

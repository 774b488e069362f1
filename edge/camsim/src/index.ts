/** A simulated recorder over real footage, with faults to switch on. */
export * from './catalogue';
export { startControl } from './control';
export { type ChannelFault, channelFaults, type Faults, faults } from './faults';
export * from './pack-mpeg-ps';
export { type RecorderOptions, type RecorderStats, recorderOptions, type SimulatedRecorder, startRecorder } from './recorder';

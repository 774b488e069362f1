/** Merak: takes search tasks, carries them out, and reports. */
export { startMerak } from './start-merak';

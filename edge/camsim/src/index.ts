/** A simulated recorder over real footage, with faults to switch on. */
export * from './catalogue';
export * from './pack-mpeg-ps';

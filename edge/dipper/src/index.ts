/** The box: its four agents, started, kept running and looked at. */
export { type BoxConfig, boxConfig, readConfig, toSettings } from './box-config';
export { type AgentStatus, boxStatus, statusTable } from './box-status';
export { type Box, type BoxOptions, startBox, superviseBox } from './supervise-box';

import type { AgentContext } from '@dipper/platform';

export type Logger = AgentContext['log'];

/** An agent's own counters, asked over its socket. */

import { type AgentName, agentSocket, callUnary, dial } from '@dipper/platform';
import { agent } from '@stardipper/proto';

export async function agentStats(dataDir: string, name: AgentName): Promise<Record<string, number>> {
  const client = dial(agent.AgentServiceClient, agentSocket(dataDir, name));
  try {
    return (await callUnary(client, client.getStats, {}, { timeoutMs: 10_000 })).values;
  } finally {
    client.close();
  }
}

import { type AgentName, agentNames, agentSocket, callUnary, dial } from '@dipper/platform';
import { agent } from '@stardipper/proto';

const stateNames: Record<number, AgentStatus['state']> = {
  [agent.HealthState.HEALTH_STATE_OK]: 'ok',
  [agent.HealthState.HEALTH_STATE_DEGRADED]: 'degraded',
  [agent.HealthState.HEALTH_STATE_FAILED]: 'failed',
};

export interface AgentStatus {
  readonly agent: AgentName;
  readonly state: 'ok' | 'degraded' | 'failed' | 'down';
  readonly code: string;
  readonly detail: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly stats: Readonly<Record<string, number>>;
}

/** Asks each agent over its socket; the folder as the box was given it, absolute. One that does not answer is `down`. */
export function boxStatus(dataDir: string): Promise<AgentStatus[]> {
  return Promise.all(agentNames.map((name) => statusOf(dataDir, name)));
}

async function statusOf(dataDir: string, name: AgentName): Promise<AgentStatus> {
  const client = dial(agent.AgentServiceClient, agentSocket(dataDir, name));
  try {
    const limits = { timeoutMs: 2_000 };
    const [health, stats] = await Promise.all([
      callUnary(client, client.getHealth, {}, limits),
      callUnary(client, client.getStats, {}, limits),
    ]);
    const { code, detail, pid, startedAtMs } = health;
    return { agent: name, state: stateNames[health.state] ?? 'failed', code, detail, pid, startedAtMs, stats: stats.values };
  } catch {
    return { agent: name, state: 'down', code: 'agent.unavailable', detail: '', pid: 0, startedAtMs: 0, stats: {} };
  } finally {
    client.close();
  }
}

/** For people: one line per agent, then its figures. */
export function statusTable(agents: readonly AgentStatus[], nowMs: number): string {
  const rows = [
    ['AGENT', 'STATE', 'PID', 'UP', 'CODE'],
    ...agents.map((one) => [
      one.agent,
      one.state,
      one.pid > 0 ? String(one.pid) : '-',
      one.startedAtMs > 0 ? uptime(nowMs - one.startedAtMs) : '-',
      [one.code, one.detail].filter(Boolean).join(' ') || '-',
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const figures = agents.flatMap((one) =>
    Object.entries(one.stats)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, value]) => `${one.agent}.${name} ${value}`),
  );
  return [...lines, ...(figures.length > 0 ? ['', ...figures] : [])].join('\n');
}

function uptime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

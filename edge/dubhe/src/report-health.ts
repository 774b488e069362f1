import { type AgentContext, type AgentName, agentNames, agentSocket, type Clock, callUnary, dial } from '@dipper/platform';
import { agent, maxReportBytes, mizar, reportKeys } from '@stardipper/proto';
import type { Doorbell } from './doorbell';
import type { StarSession } from './star-session';

const callMs = 2_000;
const stateNames = {
  [agent.HealthState.HEALTH_STATE_OK]: 'ok',
  [agent.HealthState.HEALTH_STATE_DEGRADED]: 'degraded',
  [agent.HealthState.HEALTH_STATE_FAILED]: 'failed',
} as const;

export interface AgentReport {
  readonly state: 'ok' | 'degraded' | 'failed' | 'down';
  readonly code: string;
  readonly detail?: string;
  readonly startedAt?: number;
  readonly stats?: Readonly<Record<string, number>>;
}

export interface HealthOptions {
  readonly dataDir: string;
  readonly version: string;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly log: AgentContext['log'];
  /** The session at the moment, if there is one. */
  readonly session: () => StarSession | undefined;
  readonly sessionOpened: Doorbell;
}

/**
 * How the four agents are, every so often, straight to Star: not through the spool, since nobody needs the health
 * of yesterday. What could not be sent is counted.
 */
export class HealthReporter {
  private readonly agents: Readonly<Record<AgentName, agent.AgentServiceClient>>;
  private readonly mizar: mizar.MizarServiceClient;
  private sent = 0;
  private dropped = 0;
  private attributesSent: { session: StarSession; json: string } | undefined;

  constructor(private readonly options: HealthOptions) {
    const { dataDir } = options;
    const client = (name: AgentName) => dial(agent.AgentServiceClient, agentSocket(dataDir, name));
    this.agents = { dubhe: client('dubhe'), alioth: client('alioth'), mizar: client('mizar'), merak: client('merak') };
    this.mizar = dial(mizar.MizarServiceClient, agentSocket(dataDir, 'mizar'));
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.reportOnce(signal);
      } catch (error) {
        if (!signal.aborted) this.options.log.debug({ err: error }, 'health not sent');
      }
      await this.options.sessionOpened.wait(signal, this.options.everyMs);
    }
  }

  private async reportOnce(signal: AbortSignal): Promise<void> {
    const agents: Partial<Record<AgentName, AgentReport>> = {};
    const ask = async (name: AgentName) => {
      agents[name] = await this.ask(name, signal);
    };
    await Promise.all(agentNames.map(ask));
    const session = this.options.session();
    if (!session || signal.aborted) {
      this.dropped++;
      return;
    }
    const at = this.options.clock.now();
    let body = JSON.stringify({ at, agents });
    if (Buffer.byteLength(body) > maxReportBytes) {
      body = JSON.stringify({
        at,
        agents: Object.fromEntries(Object.entries(agents).map(([name, { stats: _, ...rest }]) => [name, rest])),
      });
    }
    try {
      await session.publishReport(reportKeys.health, at, body);
      this.sent++;
    } catch (error) {
      this.dropped++;
      throw error;
    }
    await this.keepAttributes(session, signal);
  }

  private async ask(name: AgentName, signal: AbortSignal): Promise<AgentReport> {
    const client = this.agents[name];
    const limits = { timeoutMs: callMs, signal };
    try {
      const [health, stats] = await Promise.all([
        callUnary(client, client.getHealth, {}, limits),
        callUnary(client, client.getStats, {}, limits),
      ]);
      const state = stateNames[health.state as keyof typeof stateNames] ?? 'failed';
      return {
        state,
        code: health.code,
        detail: health.detail.slice(0, 500) || undefined,
        startedAt: health.startedAtMs,
        stats: stats.values,
      };
    } catch {
      return { state: 'down', code: 'agent.unavailable' };
    }
  }

  /** What this box runs, as client attributes: told once per session and again when it changes. */
  private async keepAttributes(session: StarSession, signal: AbortSignal): Promise<void> {
    const pack = await callUnary(this.mizar, this.mizar.getPack, {}, { timeoutMs: callMs, signal }).catch(() => undefined);
    const attributes = {
      dipperVersion: this.options.version,
      nodeVersion: process.version,
      platform: `${process.platform}-${process.arch}`,
      ...(pack ? { packId: pack.packId, packDimension: pack.dimension } : {}),
    };
    const json = JSON.stringify(attributes);
    if (this.attributesSent?.session === session && this.attributesSent.json === json) return;
    await session.publishAttributes(attributes);
    this.attributesSent = { session, json };
  }

  stats(): Record<string, number> {
    return { health_sent: this.sent, health_dropped: this.dropped };
  }

  close(): void {
    for (const client of [...Object.values(this.agents), this.mizar]) client.close();
  }
}

import { join } from 'node:path';
import { type AgentContext, agentSocket, Backoff, callStreaming, dial, type RunningAgent, supervise, systemClock } from '@dipper/platform';
import { agent, alioth, dubhe } from '@stardipper/proto';
import { aliothService } from './alioth-service';
import { Downloads } from './downloads';
import { Recorders } from './recorders';
import { RecorderReports } from './report-recorders';
import { settingsSchema } from './settings';
import { Spool } from './spool';

/**
 * Starts the agent: it serves at once and knows its recorders as soon as Dubhe tells. When Dubhe is away it goes on
 * with the recorders it has. Rejects when a setting is malformed or the data folder cannot be written.
 */
export async function startAlioth({ dataDir, settings: env, log, signal }: AgentContext): Promise<RunningAgent> {
  const settings = settingsSchema.parse(env);
  const clock = systemClock;
  const stopped = new AbortController();
  const ends = AbortSignal.any([signal, stopped.signal]);
  const spool = new Spool(join(dataDir, 'alioth', 'spool'), settings.ALIOTH_SPOOL_BYTES, () => clock.now());
  const downloads = new Downloads(spool, settings, clock);
  const client = dial(dubhe.DubheServiceClient, agentSocket(dataDir, 'dubhe'));
  const reports = new RecorderReports(client, clock, (error) => log.warn({ err: error }, 'Dubhe does not take reports'));
  const recorders = new Recorders({ settings, clock, report: (report) => reports.add(report) });

  const watching = supervise(
    async () => {
      for await (const { attributes } of callStreaming(client, client.watchConfig, {}, { signal: ends })) recorders.configure(attributes);
      throw new Error('Dubhe ended the configuration stream');
    },
    { clock, signal: ends, backoff: new Backoff(100, 5000), report: (error) => log.warn({ err: error }, 'no configuration from Dubhe') },
  );
  const reporting = reports.run(ends);

  return {
    services: [[alioth.AliothServiceService, { ...aliothService({ recorders, downloads, spool }) }]],
    stats: () => ({
      downloads: downloads.stats.downloads,
      downloads_failed: downloads.stats.failed,
      downloads_reused: downloads.stats.reused,
      downloads_shared: downloads.stats.shared,
      downloads_active: downloads.active,
      bytes: downloads.stats.bytes,
      spool_bytes: spool.usedBytes,
      spool_files: spool.files,
      spool_evicted: spool.evicted,
      recorders: recorders.all.length,
      recorders_unreachable: recorders.all.filter(({ state }) => state.checkedAtMs > 0 && !state.reachable).length,
      sessions_peak: Math.max(0, ...recorders.all.map(({ governor }) => governor.peak)),
      waiting: recorders.all.reduce((sum, { governor }) => sum + governor.queued, 0),
      ...Object.fromEntries(Object.entries(downloads.stats.retries).map(([code, count]) => [`retries.${code}`, count])),
    }),
    health: () => {
      const failing = recorders.all.filter(({ state }) => state.error);
      if (failing.length === 0) return { state: agent.HealthState.HEALTH_STATE_OK, code: '', detail: '' };
      const detail = failing.map(({ config, state }) => `${config.id}: ${state.error?.code}`).join(', ');
      return { state: agent.HealthState.HEALTH_STATE_DEGRADED, code: 'recorder.failing', detail: detail.slice(0, 500) };
    },
    stop: async () => {
      stopped.abort();
      recorders.close();
      client.close();
      await Promise.all([watching, reporting]);
    },
  };
}

import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { type AgentContext, AgentError, type RunningAgent } from '@dipper/platform';
import { agent, mizar } from '@stardipper/proto';
import { type FfmpegTools, findFfmpeg } from './decode/ffmpeg';
import { FaceIndex } from './index-store/face-index.store';
import { FrameSlots } from './inference/frame-slots';
import { InferencePool } from './inference/pool';
import { keepDays, keepIndexSmall } from './keep-index-small';
import { mizarErrors } from './mizar.errors';
import { mizarService } from './mizar.service';
import { loadPack } from './pack/load-pack';
import { openPackInUse } from './pack/open-pack-in-use';
import type { PackSpec } from './pack/pack';
import { isSameChoice, type PackInUse, readPackInUse } from './pack/pack-in-use';
import { Turns } from './turns';

/** What looking at footage needs: without any part of it Mizar still answers from its index. */
export interface Eyes {
  readonly tools: FfmpegTools;
  readonly pool: InferencePool;
  readonly slots: FrameSlots;
  readonly pack: PackSpec;
  readonly decoderThreads: number;
}

/** Where the worker's script is, and what Node needs to run it; a worker inherits this process's own options. */
export interface MizarRuntime {
  readonly workerFile: string;
  readonly execArgv?: readonly string[];
  /** Ends this process so that whoever keeps it running starts it again; another pack is in use from then on. */
  readonly startAgain?: () => void;
}

const besideThis: MizarRuntime = { workerFile: join(__dirname, 'inference', `worker${extname(__filename)}`) };
const endThisProcess = (): void => void process.kill(process.pid, 'SIGTERM');
const LOOK_AT_CHOICE_EVERY_MS = 1000;
const MAX_WAITING_SEGMENTS = 1024;

/**
 * Opens the index and loads the pack. A missing or refused pack, or no ffmpeg, is not fatal: health says degraded
 * and why, questions to the index are answered, and what needs eyes is refused with that code.
 */
export async function startMizar(context: AgentContext, runtime: MizarRuntime = besideThis): Promise<RunningAgent> {
  const { settings, log } = context;
  const index = FaceIndex.open(join(context.dataDir, context.name));
  if (index.lostDays > 0)
    log.error({ days: index.lostDays }, 'files of the face index are shorter than committed; their coverage was withdrawn');
  const stopping = new AbortController();
  const sweeping = keepIndexSmall(
    index,
    keepDays(settings.MIZAR_KEEP_DAYS),
    Date.now,
    (error) => log.error({ err: error }, 'old faces were not deleted; tried again'),
    stopping.signal,
  );
  const threads = threadCount(settings.MIZAR_THREADS);
  const startedWith = choiceOf(context);
  const { eyes, inUse } = await openEyes(context, threads, runtime).catch((error: unknown) => {
    if (!(error instanceof AgentError)) throw error;
    log.error({ code: error.code, params: error.params, cause: String(error.cause ?? '') }, 'cannot look at footage');
    return { eyes: error, inUse: undefined };
  });
  const watch = watchChoice(context, inUse ?? startedWith, runtime.startAgain ?? endThisProcess);
  // While one segment is probed or stored, another keeps the workers busy.
  const turns = new Turns(Math.max(2, threads), MAX_WAITING_SEGMENTS);
  let failures = 0;
  const open = (): Eyes => {
    if (eyes instanceof AgentError) throw eyes.code.startsWith('pack.') ? mizarErrors.packMissing(eyes.code) : eyes;
    return eyes;
  };
  const service = mizarService({
    index,
    eyes: open,
    turn: (signal, work) => turns.run(signal, work),
    failed: (error) => {
      failures++;
      const { code, params, cause } = error as AgentError;
      log.warn({ code, params, cause: String(cause ?? '') }, 'segment not indexed');
    },
  });
  return {
    services: [[mizar.MizarServiceService, service as unknown as RunningAgent['services'][number][1]]],
    stats: () => ({
      segments_indexed_total: 0,
      keyframes_decoded_total: 0,
      sightings_total: 0,
      decode_ms_total: 0,
      detect_ms_total: 0,
      embed_ms_total: 0,
      ...index.counters(),
      segments_failed: failures,
      segments_active: turns.active,
      inference_threads: eyes instanceof AgentError ? 0 : eyes.pool.threads,
      inference_queued: eyes instanceof AgentError ? 0 : eyes.pool.queued,
      worker_crashes: eyes instanceof AgentError ? 0 : eyes.pool.workerCrashes,
      pack_pinned: settings.MIZAR_PACK ? 1 : 0,
    }),
    health: () => healthOf(eyes, index, inUse),
    stop: async () => {
      clearInterval(watch);
      stopping.abort();
      await sweeping;
      if (!(eyes instanceof AgentError)) await eyes.pool.close();
      await index.close();
    },
  };
}

function healthOf(
  eyes: Eyes | AgentError,
  index: FaceIndex,
  inUse: PackInUse | undefined,
): { state: agent.HealthState; code: string; detail: string } {
  if (eyes instanceof AgentError)
    return { state: agent.HealthState.HEALTH_STATE_DEGRADED, code: eyes.code, detail: JSON.stringify(eyes.params) };
  if (eyes.pool.threads === 0) return { state: agent.HealthState.HEALTH_STATE_FAILED, code: 'inference.failed', detail: '' };
  if (index.lostDays > 0)
    return { state: agent.HealthState.HEALTH_STATE_DEGRADED, code: 'index.days_lost', detail: String(index.lostDays) };
  if (inUse?.refused)
    return { state: agent.HealthState.HEALTH_STATE_DEGRADED, code: 'pack.rolled_back', detail: JSON.stringify(inUse.refused) };
  return { state: agent.HealthState.HEALTH_STATE_OK, code: '', detail: '' };
}

/** The pack of MIZAR_PACK, or else the one in use. */
async function openEyes(context: AgentContext, threads: number, runtime: MizarRuntime): Promise<{ eyes: Eyes; inUse?: PackInUse }> {
  const { settings, log } = context;
  const pinned = settings.MIZAR_PACK;
  if (!pinned && !readPackInUse(context.dataDir)) throw mizarErrors.packMissing('pack.not_configured');
  // Before the pack is tried: what is missing here is not the pack's fault.
  const tools = await findFfmpeg(settings.FFMPEG_PATH, settings.FFPROBE_PATH);
  const openPool = async (folder: string) => {
    const pack = await loadPack(folder);
    const onCrash = (error: unknown): void => log.error({ err: error }, 'inference worker died');
    return { pack: pack.spec, pool: await InferencePool.open({ pack, threads, ...runtime, onCrash }) };
  };
  const { opened, inUse } = pinned ? { opened: await openPool(pinned), inUse: undefined } : await openPackInUse(context, openPool);
  log.info({ pack: opened.pack.id, threads, ffmpeg: tools.version }, 'looking');
  // Two frames a worker: one under work, one waiting; and two being filled.
  const slots = new FrameSlots(threads * 2 + 2);
  // Several segments are decoded at a time anyway; more threads in one decoder only hold more frames.
  return { eyes: { tools, ...opened, slots, decoderThreads: Math.min(threads, 4) }, inUse };
}

/** Undefined also for a file that is not ours: the next choice replaces it. */
function choiceOf({ dataDir }: AgentContext): PackInUse | undefined {
  try {
    return readPackInUse(dataDir);
  } catch {
    return undefined;
  }
}

/** Another choice than the one it started with ends the process. A small file a second; `fs.watch` misses renames on some disks. */
function watchChoice(context: AgentContext, startedWith: PackInUse | undefined, startAgain: () => void): NodeJS.Timeout | undefined {
  if (context.settings.MIZAR_PACK) return undefined;
  const timer = setInterval(() => {
    let now: PackInUse | undefined;
    try {
      now = readPackInUse(context.dataDir);
    } catch {
      // Unreadable for the moment, or not ours: no choice to follow.
      return;
    }
    if (isSameChoice(now, startedWith)) return;
    context.log.info({ pack: now?.id ?? null, before: startedWith?.id ?? null }, 'another pack is in use; starting again');
    clearInterval(timer);
    startAgain();
  }, LOOK_AT_CHOICE_EVERY_MS);
  return timer.unref();
}

function threadCount(setting: string | undefined): number {
  const asked = Number(setting);
  return Number.isInteger(asked) && asked >= 1 && asked <= 256 ? asked : availableParallelism();
}

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CatalogueInput, packMpegPs, type RecorderOptions, type SimulatedRecorder, startRecorder } from '@dipper/camsim';
import { agentSocket, callUnary, dial, type RunningAgent, serveGrpc, streaming, unary } from '@dipper/platform';
import { alioth, dubhe, type RecorderReport, recorderReport } from '@stardipper/proto';
import { pino } from 'pino';
import { startAlioth } from '../../src';

/** Four seconds of a test picture as H.264 and H.265 in MPEG-PS, made once for all tests of this machine. */
export async function footage(): Promise<string> {
  const dir = join(tmpdir(), 'dipper-test-footage-1');
  mkdirSync(dir, { recursive: true });
  for (const [name, codec] of [
    ['h264', 'libx264'],
    ['hevc', 'libx265'],
  ] as const) {
    const target = join(dir, `${name}.ps`);
    if (existsSync(target)) continue;
    const mp4 = join(dir, `${name}.${process.pid}.mp4`);
    const quiet = codec === 'libx265' ? ['-x265-params', 'log-level=none'] : [];
    const source = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=12', '-t', '4'];
    await run('ffmpeg', ['-v', 'error', '-y', ...source, '-c:v', codec, '-preset', 'ultrafast', '-g', '12', ...quiet, mp4]);
    await packMpegPs(mp4, `${target}.${process.pid}`);
    renameSync(`${target}.${process.pid}`, target);
    rmSync(mp4);
  }
  return dir;
}

const run = (command: string, args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    spawn(command, args, { stdio: 'inherit' })
      .once('error', reject)
      .once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${command}: ${code}`))));
  });

export const HOUR = 3_600_000;
/** Midnight in Shanghai, some days ago. */
export const DAY = Date.UTC(2026, 10, 17, 16);

/** `count` segments of a channel, one after the other, from `from`. */
export const continuous = (count: number, { from = DAY, ms = 60_000, gapMs = 0 } = {}) =>
  Array.from({ length: count }, (_, i) => ({
    from: from + i * (ms + gapMs),
    to: from + i * (ms + gapMs) + ms,
    file: 'h264.ps',
    codec: 'h264' as const,
  }));

export const aCatalogue = (...segments: ReturnType<typeof continuous>[]): CatalogueInput => ({
  channels: segments.map((list, i) => ({ channel: i + 1, name: `Gate ${i + 1}`, segments: list })),
});

export interface Site {
  readonly client: alioth.AliothServiceClient;
  readonly recorders: SimulatedRecorder[];
  readonly reports: RecorderReport[];
  readonly agent: RunningAgent;
  readonly dataDir: string;
  configure(attributes: Record<string, string>): void;
  config(index: number, extra?: Record<string, unknown>): Record<string, string>;
  add(options: Partial<RecorderOptions>): Promise<number>;
  list(request: Partial<alioth.ListSegmentsRequest>, signal?: AbortSignal): Promise<alioth.ListSegmentsResponse>;
  listAll(request: Partial<alioth.ListSegmentsRequest>): Promise<alioth.Segment[]>;
  download(segment: alioth.Segment, priority?: number, signal?: AbortSignal): Promise<alioth.DownloadSegmentResponse>;
  release(segment: alioth.Segment): Promise<void>;
  untilReport(matches: (report: RecorderReport) => boolean): Promise<RecorderReport>;
  restart(settings?: Record<string, string>): Promise<void>;
  stop(): Promise<void>;
}

/** Short waits, so that every fault is over within a test. */
const quick = {
  ALIOTH_BACKOFF_FIRST_MS: '20',
  ALIOTH_BACKOFF_CAP_MS: '100',
  ALIOTH_CONNECT_TIMEOUT_MS: '1000',
  ALIOTH_HEADERS_TIMEOUT_MS: '500',
  ALIOTH_IDLE_TIMEOUT_MS: '400',
};

/** A real Alioth on its socket, a Dubhe that only configures and takes reports, and as many simulated recorders as asked for. */
export async function aSite(settings: Record<string, string> = {}): Promise<Site> {
  const footageDir = await footage();
  const dataDir = mkdtempSync(join(tmpdir(), 'alioth-'));
  const recorders: SimulatedRecorder[] = [];
  const reports: RecorderReport[] = [];
  let attributes: Record<string, string> = {};
  let told: () => void = () => undefined;
  const ended = new AbortController();
  const dubheServer = await serveGrpc(agentSocket(dataDir, 'dubhe'), [
    [
      dubhe.DubheServiceService,
      {
        submitReports: unary(({ reports: sent }: dubhe.SubmitReportsRequest): dubhe.SubmitReportsResponse => {
          for (const one of sent) if (one.key === 'recorderReport') reports.push(recorderReport.parse(JSON.parse(one.bodyJson)));
          return {};
        }),
        watchConfig: streaming(async function* (_: dubhe.WatchConfigRequest, signal): AsyncGenerator<dubhe.WatchConfigResponse> {
          for (let revision = 1; !signal.aborted && !ended.signal.aborted; revision++) {
            yield { revision, attributes };
            await new Promise<void>((resolve) => {
              told = resolve;
              signal.addEventListener('abort', () => resolve(), { once: true });
            });
          }
        }),
      },
    ],
  ]);
  let current: { agent: RunningAgent; stop: () => Promise<void> } | undefined;
  const start = async (extra: Record<string, string>): Promise<void> => {
    const abort = new AbortController();
    const agent = await startAlioth({
      name: 'alioth',
      dataDir,
      settings: { ...quick, ...settings, ...extra },
      log: pino({ level: 'silent' }),
      signal: abort.signal,
    });
    const server = await serveGrpc(agentSocket(dataDir, 'alioth'), agent.services);
    current = {
      agent,
      stop: async () => {
        server.forceShutdown();
        abort.abort();
        await agent.stop();
      },
    };
  };
  await start({});
  const client = dial(alioth.AliothServiceClient, agentSocket(dataDir, 'alioth'));
  const limits = (signal?: AbortSignal) => ({ timeoutMs: 30_000, ...(signal ? { signal } : {}) });
  const site: Site = {
    client,
    recorders,
    reports,
    dataDir,
    get agent() {
      if (!current) throw new Error('not running');
      return current.agent;
    },
    configure: (next) => {
      attributes = next;
      told();
    },
    config: (index, extra = {}) => {
      const id = `r${index}`;
      const config = {
        id,
        kind: 'isapi',
        baseUrl: recorders[index]?.url,
        username: 'admin',
        password: 'dipper123',
        timeMode: 'local',
        ...extra,
      };
      return { [`recorder.${id}`]: JSON.stringify(config) };
    },
    add: async (options) => recorders.push(await startRecorder({ footageDir, ...options })) - 1,
    list: (request, signal) =>
      callUnary(
        client,
        client.listSegments,
        { recorderId: 'r0', channel: 1, fromMs: DAY, toMs: DAY + 24 * HOUR, pageSize: 0, priority: 3, ...request },
        limits(signal),
      ),
    listAll: async (request) => {
      const all: alioth.Segment[] = [];
      const toMs = request.toMs ?? DAY + 24 * HOUR;
      for (let fromMs = request.fromMs ?? DAY; fromMs < toMs; ) {
        const page = await site.list({ ...request, fromMs, toMs });
        if (page.listedUntilMs <= fromMs || page.listedUntilMs > toMs)
          throw new Error(`listed until ${page.listedUntilMs} of ${fromMs}..${toMs}`);
        all.push(...page.segments);
        fromMs = page.listedUntilMs;
      }
      return all;
    },
    download: (segment, priority = 3, signal) => callUnary(client, client.downloadSegment, { segment, priority }, limits(signal)),
    release: async (segment) => {
      await callUnary(client, client.releaseSegment, { segment }, limits());
    },
    untilReport: async (matches) => {
      for (;;) {
        const found = reports.findLast(matches);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    restart: async (extra = {}) => {
      await current?.stop();
      await start(extra);
      client.getChannel().getConnectivityState(true);
    },
    stop: async () => {
      await current?.stop();
      client.close();
      ended.abort();
      told();
      dubheServer.forceShutdown();
      await Promise.all(recorders.map((one) => one.stop()));
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return site;
}

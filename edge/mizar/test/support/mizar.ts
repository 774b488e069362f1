import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentContext, agentSocket, callStreaming, callUnary, dial, type RunningAgent, serveGrpc } from '@dipper/platform';
import { mizar } from '@stardipper/proto';
import { pino } from 'pino';
import { type MizarRuntime, startMizar } from '../../src/start-mizar';

/** Worker threads run from source, as the tests do. */
export const fromSource: MizarRuntime = {
  workerFile: join(__dirname, '..', '..', 'src', 'inference', 'worker.ts'),
  execArgv: ['-r', join(__dirname, '..', '..', '..', 'platform', 'test', 'support', 'register.cjs')],
};

export const modelsFolder = process.env.STAR_MODELS;
export const portraitsFolder = process.env.STAR_PORTRAITS;
export const hasModels = modelsFolder !== undefined && existsSync(modelsFolder);
export const hasPortraits = hasModels && portraitsFolder !== undefined && existsSync(portraitsFolder);

/** `idNN` to its `a` or `b` photo. */
export function portraits(which: 'a' | 'b'): Map<string, string> {
  const files = readdirSync(portraitsFolder!).filter((f) => new RegExp(`^id\\d+-${which}\\.`).test(f));
  return new Map(files.sort().map((f) => [f.slice(0, 4), join(portraitsFolder!, f)]));
}

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'mizar-'));

/** A Mizar that serves on its socket, in this process, with a client. */
export class TestMizar {
  private constructor(
    readonly folder: string,
    readonly agent: RunningAgent,
    readonly client: mizar.MizarServiceClient,
    private readonly shutDown: () => Promise<void>,
  ) {}

  static async start(settings: Record<string, string | undefined>, folder = newFolder()): Promise<TestMizar> {
    const abort = new AbortController();
    const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
    const context: AgentContext = { name: 'mizar', dataDir: folder, settings, log, signal: abort.signal };
    const agent = await startMizar(context, fromSource);
    const server = await serveGrpc(agentSocket(folder, 'mizar'), agent.services);
    const client = dial(mizar.MizarServiceClient, agentSocket(folder, 'mizar'));
    return new TestMizar(folder, agent, client, async () => {
      client.close();
      server.forceShutdown();
      abort.abort();
      await agent.stop();
    });
  }

  index(request: Partial<mizar.IndexSegmentRequest>, signal?: AbortSignal): Promise<mizar.IndexSegmentResponse> {
    const whole = { path: '', cameraId: 'cam-1', fromMs: 0, toMs: 0, packId: 'yunet-mobilefacenet.1', dryRun: false, ...request };
    return callUnary(this.client, this.client.indexSegment, whole, { timeoutMs: 120_000, ...(signal ? { signal } : {}) });
  }

  embed(image: Buffer): Promise<mizar.EmbedPhotoResponse> {
    return callUnary(this.client, this.client.embedPhoto, { image, packId: '' }, { timeoutMs: 60_000 });
  }

  async coverage(cameraId: string, fromMs: number, toMs: number): Promise<mizar.CoveredSpan[]> {
    const request = { cameraId, fromMs, toMs, packId: 'yunet-mobilefacenet.1' };
    return (await callUnary(this.client, this.client.getCoverage, request, { timeoutMs: 10_000 })).spans;
  }

  async match(request: Partial<mizar.MatchSightingsRequest>): Promise<mizar.SightingMatch[]> {
    const whole = { cameraId: 'cam-1', fromMs: 0, toMs: 0, packId: 'yunet-mobilefacenet.1', threshold: 0.5, persons: [], ...request };
    const found: mizar.SightingMatch[] = [];
    for await (const page of callStreaming(this.client, this.client.matchSightings, whole, { timeoutMs: 60_000 }))
      found.push(...page.matches);
    return found;
  }

  crop(sightingId: string): Promise<mizar.ReadCropResponse> {
    return callUnary(this.client, this.client.readCrop, { sightingId }, { timeoutMs: 10_000 });
  }

  /** Stops, and removes the folder unless it is to be opened again. */
  async stop(keep = false): Promise<void> {
    await this.shutDown();
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}

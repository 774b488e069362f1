/**
 * The agents beside Merak, simulated with faults: real gRPC servers on the box's sockets, over footage and faces that
 * are pure functions of a seed. What they hold lives here, outside Merak's process, and survives its death.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { AgentError, agentSocket, serveGrpc, streaming, unary } from '@dipper/platform';
import { alioth, dubhe, mergeSpans, mizar, type Span, type TaskReport } from '@stardipper/proto';

export const packId = 'pack.test';

export interface Footage extends Span {
  /** Decodable only up to here. */
  readonly decodableTo?: number;
  /** Cannot be decoded at all. */
  readonly corrupt?: boolean;
  readonly growing?: boolean;
}

export interface SimCamera {
  readonly id: string;
  readonly recorderId: string;
  readonly channel: number;
  /** In order of time; may overlap. A function for footage too long to hold. */
  footage: Footage[] | ((from: number, to: number, limit: number) => Footage[]);
  /** A face every so often, alternating between the people. */
  readonly faceEveryMs: number;
}

export type SimCall =
  | 'listRecorders'
  | 'listSegments'
  | 'downloadSegment'
  | 'indexSegment'
  | 'getCoverage'
  | 'matchSightings'
  | 'forgetFaces'
  | 'listIndexedCameras'
  | 'forgetFootage'
  | 'submitReports';

/** May delay or throw before a call is carried out. */
export type Fault = (
  call: SimCall,
  about: { recorderId?: string; channel?: number; cameraId?: string; from?: number },
) => Promise<void> | void;

export interface SimRecorder {
  readonly id: string;
  readonly maxSessions: number;
  /** Its wall clock minus ours, as Alioth saw it last. */
  clockOffsetMs?: number;
  away?: boolean;
}

/** mulberry32: small, seeded, good enough to choose faults with. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface IndexedSpan extends Span {
  samplingMs: number;
}

const dayMs = 86_400_000;

/** What one pack has looked at says nothing about another. */
const lookedKey = ({ cameraId, packId }: { cameraId: string; packId: string }) => `${cameraId} ${packId}`;

export class SimBox {
  readonly dataDir: string;
  readonly cameras: SimCamera[];
  readonly recorders: SimRecorder[];
  fault: Fault = () => {};
  /** What a recorder makes of a page of its footage. */
  lists: (page: alioth.ListSegmentsResponse, request: alioth.ListSegmentsRequest) => alioth.ListSegmentsResponse = (page) => page;
  /** The model pack in use. */
  pack = packId;
  samplingMs = 1_000;
  /** Of the person that is to be forgotten next, and by what. */
  theirSightings = 0;
  readonly forgotten: mizar.PackFaces[] = [];
  /** How long a download and an index call take. */
  downloadMs = 1;
  indexMs = 1;
  readonly calls: Record<SimCall, number> = {
    listRecorders: 0,
    listSegments: 0,
    downloadSegment: 0,
    indexSegment: 0,
    getCoverage: 0,
    matchSightings: 0,
    forgetFaces: 0,
    listIndexedCameras: 0,
    forgetFootage: 0,
    submitReports: 0,
  };
  /** What was downloaded, in order: recorder/channel/from. */
  readonly downloads: { recorderId: string; channel: number; from: number; at: number; priority: number }[] = [];
  readonly sessionsPeak = new Map<string, number>();
  readonly spool = new Map<string, number>();
  /** As they arrived, repeats included. */
  readonly delivered: dubhe.Report[] = [];
  private readonly sessions = new Map<string, number>();
  private readonly index = new Map<string, IndexedSpan[]>();
  private readonly servers: { forceShutdown(): void }[] = [];
  private readonly http: HttpServer;
  private readonly documents = new Map<string, { status: number; body: Buffer }>();

  constructor(dataDir: string, recorders: SimRecorder[], cameras: SimCamera[]) {
    this.dataDir = dataDir;
    this.recorders = recorders;
    this.cameras = cameras;
    this.http = createServer((request, response) => {
      const found = this.documents.get(request.url ?? '');
      response.writeHead(found?.status ?? 404).end(found?.body);
    });
  }

  async start(): Promise<void> {
    await this.startAlioth();
    await this.startMizar();
    await this.startDubhe();
    await new Promise<void>((resolve) => this.http.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    for (const server of this.servers) server.forceShutdown();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  /** Serves a query document; returns what createTask says about it. */
  query(document: unknown, { status = 200, path = `/q${this.documents.size}` } = {}): { url: string; sha256: string; bytes: number } {
    const body = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
    this.documents.set(path, { status, body });
    const url = `http://127.0.0.1:${(this.http.address() as AddressInfo).port}${path}`;
    return { url, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.length };
  }

  setQueryStatus(path: string, status: number): void {
    const found = this.documents.get(path);
    if (found) found.status = status;
  }

  /** Delivered reports of one task, each once, by number; throws when a repeat differs from the first. */
  reportsOf(taskId: string): TaskReport[] {
    const byId = new Map<string, string>();
    for (const report of this.delivered) {
      const first = byId.get(report.id);
      if (first !== undefined && first !== report.bodyJson) throw new Error(`report ${report.id} came twice with different content`);
      byId.set(report.id, report.bodyJson);
    }
    const all = [...byId.values()].map((text) => JSON.parse(text) as TaskReport).filter((r) => r.taskId === taskId);
    return all.sort((a, b) => a.seq - b.seq);
  }

  private async forgetFaces({ packs }: mizar.ForgetFacesRequest): Promise<mizar.ForgetFacesResponse> {
    await this.before('forgetFaces', {});
    this.forgotten.push(...packs);
    return { sightings: this.theirSightings };
  }

  forgetIndex(): void {
    this.index.clear();
  }

  async startAlioth(): Promise<void> {
    this.servers.push(
      await serveGrpc(agentSocket(this.dataDir, 'alioth'), [
        [
          alioth.AliothServiceService,
          {
            listRecorders: unary(() => this.listRecorders()),
            listSegments: unary(async (request: alioth.ListSegmentsRequest) => this.lists(await this.listSegments(request), request)),
            downloadSegment: unary((request: alioth.DownloadSegmentRequest) => this.download(request)),
            releaseSegment: unary(({ segment }: alioth.ReleaseSegmentRequest): alioth.ReleaseSegmentResponse => {
              if (segment) this.spool.delete(keyOf(segment));
              return {};
            }),
          },
        ],
      ]),
    );
  }

  async startMizar(): Promise<void> {
    this.servers.push(
      await serveGrpc(agentSocket(this.dataDir, 'mizar'), [
        [
          mizar.MizarServiceService,
          {
            getPack: unary(
              (): mizar.GetPackResponse => ({
                packId: this.pack,
                dimension: 4,
                minFacePx: 48,
                defaultThreshold: 0.5,
                licence: '',
                contentSha256: '',
              }),
            ),
            indexSegment: unary((request: mizar.IndexSegmentRequest) => this.indexSegment(request)),
            getCoverage: unary((request: mizar.GetCoverageRequest) => this.getCoverage(request)),
            matchSightings: streaming((request: mizar.MatchSightingsRequest) => this.matchSightings(request)),
            embedPhoto: unary(() => unsupported()),
            readCrop: unary(() => unsupported()),
            forgetFaces: unary((request: mizar.ForgetFacesRequest) => this.forgetFaces(request)),
            listIndexedCameras: unary(() => this.listIndexedCameras()),
            forgetFootage: unary((request: mizar.ForgetFootageRequest) => this.forgetFootage(request)),
          },
        ],
      ]),
    );
  }

  async startDubhe(): Promise<{ forceShutdown(): void }> {
    const server = await serveGrpc(agentSocket(this.dataDir, 'dubhe'), [
      [
        dubhe.DubheServiceService,
        {
          submitReports: unary(async (request: dubhe.SubmitReportsRequest): Promise<dubhe.SubmitReportsResponse> => {
            await this.before('submitReports', {});
            this.delivered.push(...request.reports);
            return {};
          }),
          watchConfig: streaming(async function* (): AsyncGenerator<dubhe.WatchConfigResponse> {}),
        },
      ],
    ]);
    this.servers.push(server);
    return server;
  }

  private async before(call: SimCall, about: Parameters<Fault>[1]): Promise<void> {
    this.calls[call] += 1;
    await this.fault(call, about);
  }

  private async listRecorders(): Promise<alioth.ListRecordersResponse> {
    await this.before('listRecorders', {});
    return {
      recorders: this.recorders.map(({ id, maxSessions, clockOffsetMs = 0, away = false }) => ({
        recorderId: id,
        reachable: !away,
        errorCode: '',
        checkedAtMs: Date.now(),
        clockOffsetMs,
        maxSessions,
        sessionsInUse: this.sessions.get(id) ?? 0,
        model: 'sim',
        serialNumber: id,
        firmware: '1',
        channels: this.cameras.filter((c) => c.recorderId === id).map((c) => ({ channel: c.channel, name: c.id, online: true })),
      })),
    };
  }

  private async listSegments(request: alioth.ListSegmentsRequest): Promise<alioth.ListSegmentsResponse> {
    const { recorderId, channel, fromMs, toMs } = request;
    await this.before('listSegments', { recorderId, channel, from: fromMs });
    const camera = this.cameras.find((c) => c.recorderId === recorderId && c.channel === channel);
    if (!camera) throw new AgentError('recorder.no_channel', 'not_found');
    const size = Math.min(40, request.pageSize || 40);
    const all =
      typeof camera.footage === 'function'
        ? camera.footage(fromMs, toMs, size + 1)
        : camera.footage.filter((f) => f.from < toMs && f.to > fromMs).slice(0, size + 1);
    const page = all.slice(0, size);
    const next = all[size];
    return {
      segments: page.map((f) => ({
        recorderId,
        channel,
        fromMs: f.from,
        toMs: f.to,
        playbackUri: `sim://${f.from}`,
        sizeBytes: f.to - f.from,
        growing: f.growing ?? false,
      })),
      listedUntilMs: next ? Math.max(fromMs + 1, Math.min(next.from, toMs)) : toMs,
    };
  }

  private async download({ segment, priority }: alioth.DownloadSegmentRequest): Promise<alioth.DownloadSegmentResponse> {
    if (!segment) throw new AgentError('request.invalid', 'invalid');
    const { recorderId, channel, fromMs } = segment;
    const inUse = (this.sessions.get(recorderId) ?? 0) + 1;
    this.sessions.set(recorderId, inUse);
    this.sessionsPeak.set(recorderId, Math.max(inUse, this.sessionsPeak.get(recorderId) ?? 0));
    this.downloads.push({ recorderId, channel, from: fromMs, at: performance.now(), priority });
    try {
      await this.before('downloadSegment', { recorderId, channel, from: fromMs });
      const key = keyOf(segment);
      if (!this.spool.has(key)) await wait(this.downloadMs);
      this.spool.set(key, fromMs);
      return { path: `/sim/${key}`, sizeBytes: segment.sizeBytes, durationMs: segment.toMs - fromMs };
    } finally {
      this.sessions.set(recorderId, (this.sessions.get(recorderId) ?? 1) - 1);
    }
  }

  private async indexSegment(request: mizar.IndexSegmentRequest): Promise<mizar.IndexSegmentResponse> {
    const { cameraId, fromMs, toMs, path } = request;
    await this.before('indexSegment', { cameraId, from: fromMs });
    const key = path.slice('/sim/'.length);
    if (!this.spool.has(key)) throw new AgentError('segment.missing', 'not_found');
    await wait(this.indexMs);
    const camera = this.cameras.find((c) => key.startsWith(`${c.recorderId}.${c.channel}.`));
    const footage = typeof camera?.footage === 'function' ? undefined : camera?.footage.find((f) => f.from === fromMs);
    if (footage?.corrupt) throw new AgentError('segment.corrupt', 'unprocessable');
    const coveredToMs = Math.min(toMs, footage?.decodableTo ?? toMs);
    if (!request.dryRun && coveredToMs > fromMs) {
      const looked = lookedKey(request);
      const { samplingMs } = this;
      this.index.set(looked, [...(this.index.get(looked) ?? []), { from: fromMs, to: coveredToMs, samplingMs }]);
    }
    return {
      coveredFromMs: fromMs,
      coveredToMs,
      keyframesDecoded: Math.ceil((coveredToMs - fromMs) / this.samplingMs),
      sightings: 1,
      samplingMs: this.samplingMs,
      codec: 'h264',
      frameWidth: 1920,
      frameHeight: 1080,
      decodeMs: 1,
      totalMs: 2,
    };
  }

  private async getCoverage(request: mizar.GetCoverageRequest): Promise<mizar.GetCoverageResponse> {
    const { cameraId, fromMs, toMs } = request;
    await this.before('getCoverage', { cameraId, from: fromMs });
    const looked = lookedKey(request);
    const merged = mergeSpans(this.index.get(looked) ?? []);
    if (merged.length < (this.index.get(looked) ?? []).length) {
      this.index.set(
        looked,
        merged.map((s) => ({ ...s, samplingMs: this.samplingMs })),
      );
    }
    const spans = merged.filter((s) => s.from < toMs && s.to > fromMs);
    return { spans: spans.map((s) => ({ fromMs: Math.max(s.from, fromMs), toMs: Math.min(s.to, toMs), samplingMs: this.samplingMs })) };
  }

  /** The UTC days of a camera that count as looked at, oldest first. */
  daysOf(cameraId: string): number[] {
    const spans = [...this.index].flatMap(([key, looked]) => (key.startsWith(`${cameraId} `) ? looked : []));
    return [...new Set(spans.map((span) => Math.floor(span.from / dayMs)))].sort((a, b) => a - b);
  }

  private async listIndexedCameras(): Promise<mizar.ListIndexedCamerasResponse> {
    await this.before('listIndexedCameras', {});
    const cameras = this.cameras.map(({ id }) => ({ cameraId: id, oldestMs: (this.daysOf(id)[0] ?? -1) * dayMs }));
    return { cameras: cameras.filter(({ oldestMs }) => oldestMs >= 0) };
  }

  private async forgetFootage({ cameraId, beforeMs }: mizar.ForgetFootageRequest): Promise<mizar.ForgetFootageResponse> {
    await this.before('forgetFootage', { cameraId });
    const gone = this.daysOf(cameraId).filter((day) => (day + 1) * dayMs <= beforeMs);
    for (const [key, looked] of this.index)
      if (key.startsWith(`${cameraId} `))
        this.index.set(
          key,
          looked.filter((span) => !gone.includes(Math.floor(span.from / dayMs))),
        );
    return { days: gone.length };
  }

  private async *matchSightings(request: mizar.MatchSightingsRequest): AsyncGenerator<mizar.MatchSightingsResponse> {
    const { cameraId, fromMs, toMs, persons } = request;
    await this.before('matchSightings', { cameraId, from: fromMs });
    const camera = this.cameras.find((c) => c.id === cameraId);
    if (!camera || camera.faceEveryMs <= 0) return;
    let page: mizar.SightingMatch[] = [];
    for (const span of mergeSpans(this.index.get(lookedKey(request)) ?? [])) {
      const from = Math.max(span.from, fromMs);
      const to = Math.min(span.to, toMs);
      for (let at = Math.ceil(from / camera.faceEveryMs) * camera.faceEveryMs; at < to; at += camera.faceEveryMs) {
        const person = persons[(at / camera.faceEveryMs) % persons.length];
        if (!person) continue;
        page.push({
          sightingId: `${cameraId}-${at}`,
          personId: person.personId,
          atMs: at,
          score: 0.75,
          quality: 0.5,
          box: { x: 1, y: 2, width: 60, height: 60 },
          frameWidth: 1920,
          frameHeight: 1080,
        });
        if (page.length < 100) continue;
        yield { matches: page };
        page = [];
      }
    }
    if (page.length > 0) yield { matches: page };
  }
}

const keyOf = (s: alioth.Segment): string => `${s.recorderId}.${s.channel}.${s.fromMs}-${s.toMs}`;

function unsupported(): never {
  throw new AgentError('not_simulated', 'internal');
}

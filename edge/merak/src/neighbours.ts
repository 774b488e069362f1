import { agentSocket, callStreaming, callUnary, dial } from '@dipper/platform';
import { alioth, dubhe, mizar } from '@stardipper/proto';

export type SegmentRef = Pick<alioth.Segment, 'recorderId' | 'channel' | 'fromMs' | 'toMs' | 'playbackUri'>;

/** Names a stretch of footage on this box. */
export const segmentKey = (s: SegmentRef): string => `${s.recorderId}/${s.channel}/${s.fromMs}-${s.toMs}/${s.playbackUri}`;

const seconds = (n: number) => n * 1_000;

/** The three agents Merak talks to. Every call has a deadline and throws AgentError; an agent that is down reads as `agent.unavailable`. */
export class Neighbours {
  private readonly alioth: alioth.AliothServiceClient;
  private readonly mizar: mizar.MizarServiceClient;
  private readonly dubhe: dubhe.DubheServiceClient;

  constructor(dataDir: string) {
    this.alioth = dial(alioth.AliothServiceClient, agentSocket(dataDir, 'alioth'));
    this.mizar = dial(mizar.MizarServiceClient, agentSocket(dataDir, 'mizar'));
    this.dubhe = dial(dubhe.DubheServiceClient, agentSocket(dataDir, 'dubhe'));
  }

  close(): void {
    for (const client of [this.alioth, this.mizar, this.dubhe]) client.close();
  }

  async listRecorders(signal: AbortSignal): Promise<alioth.RecorderStatus[]> {
    return (await callUnary(this.alioth, this.alioth.listRecorders, {}, { timeoutMs: seconds(5), signal })).recorders;
  }

  listSegments(request: alioth.ListSegmentsRequest, signal: AbortSignal): Promise<alioth.ListSegmentsResponse> {
    return callUnary(this.alioth, this.alioth.listSegments, request, { timeoutMs: seconds(60), signal });
  }

  /** The deadline is generous: a recorder may hand out an hour of footage at the speed it was recorded. */
  downloadSegment(segment: alioth.Segment, priority: number, signal: AbortSignal): Promise<alioth.DownloadSegmentResponse> {
    const footageMs = Math.max(0, segment.toMs - segment.fromMs);
    return callUnary(
      this.alioth,
      this.alioth.downloadSegment,
      { segment, priority },
      { timeoutMs: Math.min(seconds(10_800), seconds(120) + 2 * footageMs), signal },
    );
  }

  async releaseSegment(segment: alioth.Segment, signal: AbortSignal): Promise<void> {
    await callUnary(this.alioth, this.alioth.releaseSegment, { segment }, { timeoutMs: seconds(10), signal });
  }

  getPack(signal: AbortSignal): Promise<mizar.GetPackResponse> {
    return callUnary(this.mizar, this.mizar.getPack, {}, { timeoutMs: seconds(10), signal });
  }

  indexSegment(request: mizar.IndexSegmentRequest, signal: AbortSignal): Promise<mizar.IndexSegmentResponse> {
    const footageMs = Math.max(0, request.toMs - request.fromMs);
    return callUnary(this.mizar, this.mizar.indexSegment, request, {
      timeoutMs: Math.min(seconds(21_600), seconds(300) + 5 * footageMs),
      signal,
    });
  }

  async getCoverage(request: mizar.GetCoverageRequest, signal: AbortSignal): Promise<mizar.CoveredSpan[]> {
    return (await callUnary(this.mizar, this.mizar.getCoverage, request, { timeoutMs: seconds(30), signal })).spans;
  }

  async *matchSightings(request: mizar.MatchSightingsRequest, signal: AbortSignal): AsyncGenerator<mizar.SightingMatch[]> {
    for await (const page of callStreaming(this.mizar, this.mizar.matchSightings, request, { timeoutMs: seconds(120), signal }))
      yield page.matches;
  }

  /** The whole index is looked through: minutes on a large one. */
  async forgetFaces(packs: mizar.PackFaces[], signal: AbortSignal): Promise<number> {
    return (await callUnary(this.mizar, this.mizar.forgetFaces, { packs }, { timeoutMs: seconds(3_600), signal })).sightings;
  }

  async listIndexedCameras(signal: AbortSignal): Promise<mizar.IndexedCamera[]> {
    return (await callUnary(this.mizar, this.mizar.listIndexedCameras, {}, { timeoutMs: seconds(30), signal })).cameras;
  }

  async forgetFootage(request: mizar.ForgetFootageRequest, signal: AbortSignal): Promise<number> {
    return (await callUnary(this.mizar, this.mizar.forgetFootage, request, { timeoutMs: seconds(60), signal })).days;
  }

  async submitReports(reports: dubhe.Report[], signal: AbortSignal): Promise<void> {
    await callUnary(this.dubhe, this.dubhe.submitReports, { reports }, { timeoutMs: seconds(30), signal });
  }
}

import { unary } from '@dipper/platform';
import { alioth } from '@stardipper/proto';
import type { Downloads } from './downloads';
import type { Recorder } from './recorder';
import { fault } from './recorder.errors';
import type { Recorders } from './recorders';
import { type Spool, spoolKey } from './spool';

const DEFAULT_PAGE = 40;
const MAX_PAGE = 500;

export interface ServiceDeps {
  readonly recorders: Recorders;
  readonly downloads: Downloads;
  readonly spool: Spool;
}

/** The gRPC face: checks what comes in and says it in the words of the contract. */
export function aliothService({ recorders, downloads, spool }: ServiceDeps): alioth.AliothServiceServer {
  return {
    listRecorders: unary((): alioth.ListRecordersResponse => ({ recorders: recorders.all.map(statusOf) })),

    listSegments: unary(async (request: alioth.ListSegmentsRequest, signal): Promise<alioth.ListSegmentsResponse> => {
      const { recorderId, channel, fromMs, toMs } = request;
      if (!isChannel(channel) || !isMoment(fromMs) || !isMoment(toMs) || fromMs >= toMs) throw fault('segment.invalid', { field: 'range' });
      const recorder = recorders.get(recorderId);
      const size = Math.min(request.pageSize > 0 ? request.pageSize : DEFAULT_PAGE, MAX_PAGE);
      const page = await recorder.page({ channel, fromMs, toMs, size, priority: urgency(request.priority) }, signal);
      const segments = page.segments.map((one) => ({
        recorderId,
        channel,
        fromMs: one.fromMs,
        toMs: one.toMs,
        playbackUri: one.uri,
        sizeBytes: one.sizeBytes,
        growing: recorder.isGrowing(one.toMs),
      }));
      return { segments, listedUntilMs: page.listedUntilMs };
    }),

    downloadSegment: unary(
      async ({ segment, priority }: alioth.DownloadSegmentRequest, signal): Promise<alioth.DownloadSegmentResponse> => {
        const wanted = checked(segment);
        const recorder = recorders.get(wanted.recorderId);
        const key = spoolKey(wanted.recorderId, wanted.channel, wanted.playbackUri);
        return downloads.get(key, recorder, wanted.playbackUri, Math.max(0, wanted.sizeBytes), urgency(priority), signal);
      },
    ),

    releaseSegment: unary(({ segment }: alioth.ReleaseSegmentRequest): alioth.ReleaseSegmentResponse => {
      const done = checked(segment);
      spool.release(spoolKey(done.recorderId, done.channel, done.playbackUri));
      return {};
    }),
  };
}

const isChannel = (channel: number): boolean => Number.isInteger(channel) && channel >= 1 && channel <= 4096;
const isMoment = (ms: number): boolean => Number.isSafeInteger(ms) && ms >= 0 && ms < 8.64e15;
const urgency = (priority: number): number => (priority >= 1 && priority <= 6 ? priority : 3);

function checked(segment: alioth.Segment | undefined): alioth.Segment {
  // Control characters have no place in an address and would end the XML it travels in.
  const plain = segment && segment.playbackUri.length > 0 && segment.playbackUri.length <= 4096 && !/\p{Cc}/u.test(segment.playbackUri);
  if (!segment || !plain || !isChannel(segment.channel) || segment.recorderId.length > 64) throw fault('segment.invalid');
  return segment;
}

function statusOf({ config, state, governor }: Recorder): alioth.RecorderStatus {
  return {
    recorderId: config.id,
    reachable: state.reachable,
    errorCode: state.error?.code ?? '',
    checkedAtMs: state.checkedAtMs,
    clockOffsetMs: state.clockErrorMs,
    maxSessions: config.maxSessions,
    sessionsInUse: governor.inUse,
    ...state.info,
    channels: state.channels.map((one) => ({ ...one })),
  };
}

import { AgentError, agentSocket, type Clock, callUnary, dial } from '@dipper/platform';
import { mizar, signCropUploadReply } from '@stardipper/proto';
import type { CropsStore, PendingCrop } from './crops.store';
import type { Doorbell } from './doorbell';
import type { StarSession } from './star-session';

/** signCropUpload takes up to 50; fewer keep the signed addresses from ageing while the others go up. */
const batchSize = 40;
const atOnce = 4;
const putTimeoutMs = 30_000;
const signTimeoutMs = 15_000;
/** Refusals after which a crop is given up; the report of its match is with Star all the same. */
const attemptsBeforeDrop = 10;

type Outcome = { crop: PendingCrop } & ({ done: 'crops_uploaded' | 'crops_dropped' } | { done?: undefined; counted: boolean });

export interface UploaderOptions {
  readonly dataDir: string;
  readonly store: CropsStore;
  readonly queued: Doorbell;
  readonly clock: Clock;
  /** First wait of a crop that failed; doubles up to 5 min. */
  readonly retryMs: number;
  readonly report: (error: unknown, what: string) => void;
}

/** Brings crops of matches to Star's object storage, through addresses that Star signs for this box. */
export class CropUploader {
  private readonly client: mizar.MizarServiceClient;

  constructor(private readonly options: UploaderOptions) {
    this.client = dial(mizar.MizarServiceClient, agentSocket(options.dataDir, 'mizar'));
  }

  /** Until the signal aborts. */
  async run(session: Pick<StarSession, 'call'>, signal: AbortSignal): Promise<void> {
    const { store, queued, clock, retryMs } = this.options;
    let waitMs = retryMs;
    while (!signal.aborted) {
      const crops = store.due(clock.now(), batchSize);
      if (crops.length === 0) {
        const nextDue = store.nextDueMs();
        await queued.wait(signal, nextDue === undefined ? undefined : Math.max(10, nextDue - clock.now()));
        continue;
      }
      try {
        await this.uploadBatch(session, crops, signal);
        waitMs = retryMs;
      } catch (error) {
        if (signal.aborted) return;
        this.options.report(error, 'signCropUpload');
        await clock.sleep(waitMs, signal);
        waitMs = Math.min(60_000, waitMs * 2);
      }
    }
  }

  private async uploadBatch(session: Pick<StarSession, 'call'>, crops: readonly PendingCrop[], signal: AbortSignal): Promise<void> {
    const answer = await session.call('signCropUpload', { sightingIds: crops.map((crop) => crop.sightingId) }, signTimeoutMs);
    const urls = new Map(signCropUploadReply.parse(answer).uploads.map((upload) => [upload.sightingId, upload.url]));
    const waiting = [...crops];
    const outcomes: Outcome[] = [];
    const worker = async () => {
      for (let crop = waiting.shift(); crop && !signal.aborted; crop = waiting.shift()) {
        outcomes.push(await this.upload(crop, urls.get(crop.sightingId), signal));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    if (!signal.aborted) this.writeDown(outcomes);
    else this.writeDown(outcomes.filter((outcome) => outcome.done !== undefined));
  }

  private async upload(crop: PendingCrop, url: string | undefined, signal: AbortSignal): Promise<Outcome> {
    if (!url || !/^https?:\/\//.test(url)) return { crop, counted: true };
    try {
      const { jpeg } = await callUnary(this.client, this.client.readCrop, { sightingId: crop.sightingId }, { timeoutMs: 5_000, signal });
      const response = await fetch(url, {
        method: 'PUT',
        body: new Uint8Array(jpeg),
        headers: { 'content-type': 'image/jpeg' },
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeoutMs)]),
      });
      await response.body?.cancel();
      if (response.ok) return { crop, done: 'crops_uploaded' };
      // An expired signature is renewed with the next attempt; a busy or broken server says nothing about the crop.
      const refused =
        response.status >= 400 && response.status < 500 && response.status !== 403 && response.status !== 429 && response.status !== 408;
      return { crop, counted: refused };
    } catch (error) {
      if (error instanceof AgentError && error.code === 'crop.not_found') return { crop, done: 'crops_dropped' };
      if (!signal.aborted) this.options.report(error, 'crop');
      return { crop, counted: error instanceof AgentError && !error.retry && !signal.aborted };
    }
  }

  private writeDown(outcomes: readonly Outcome[]): void {
    const { store, clock, retryMs } = this.options;
    const seqs = (done: 'crops_uploaded' | 'crops_dropped') =>
      outcomes.filter((outcome) => outcome.done === done).map(({ crop }) => crop.seq);
    const failed = outcomes.flatMap((outcome) => (outcome.done === undefined ? [outcome] : []));
    const spent = failed.filter(({ crop, counted }) => counted && crop.attempts + 1 >= attemptsBeforeDrop);
    store.finish(seqs('crops_uploaded'), 'crops_uploaded');
    store.finish([...seqs('crops_dropped'), ...spent.map(({ crop }) => crop.seq)], 'crops_dropped');
    const again = failed.filter((outcome) => !spent.includes(outcome));
    store.postpone(
      again.map(({ crop, counted }) => ({
        seq: crop.seq,
        untilMs: clock.now() + (counted ? Math.min(300_000, retryMs * 2 ** crop.attempts) : Math.max(retryMs, 2_000)),
        counted,
      })),
    );
  }

  close(): void {
    this.client.close();
  }
}

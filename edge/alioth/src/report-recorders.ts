import { Backoff, type Clock, callUnary, supervise } from '@dipper/platform';
import { dubhe, type RecorderReport } from '@stardipper/proto';

const SUBMIT_TIMEOUT_MS = 10_000;

/**
 * Hands reports to Dubhe until it has them. Only the newest of each recorder waits: an older one says nothing any
 * more, so however long Dubhe is away, this stays small.
 */
export class RecorderReports {
  private readonly newest = new Map<string, RecorderReport>();
  private wake: () => void = () => undefined;

  constructor(
    private readonly client: dubhe.DubheServiceClient,
    private readonly clock: Clock,
    private readonly failed: (error: unknown) => void,
  ) {}

  add(report: RecorderReport): void {
    this.newest.set(report.recorderId, report);
    this.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.wake(), { once: true });
    await supervise(() => this.submit(signal), { clock: this.clock, signal, backoff: new Backoff(200, 10_000), report: this.failed });
  }

  private async submit(signal: AbortSignal): Promise<void> {
    if (this.newest.size === 0) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      return;
    }
    const batch = [...this.newest.values()];
    const reports = batch.map((report) => ({
      id: report.id,
      key: 'recorderReport',
      bodyJson: JSON.stringify(report),
      atMs: report.checkedAt,
      cropSightingIds: [],
    }));
    await callUnary(this.client, this.client.submitReports, { reports }, { timeoutMs: SUBMIT_TIMEOUT_MS, signal });
    for (const report of batch) if (this.newest.get(report.recorderId) === report) this.newest.delete(report.recorderId);
  }
}

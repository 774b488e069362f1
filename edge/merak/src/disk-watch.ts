import { statfs } from 'node:fs/promises';

const lookEveryMs = 5_000;

/** Keeps an eye on free space, outside the path of accepting a task. */
export class DiskWatch {
  private free = Number.POSITIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly folder: string,
    private readonly minFreeBytes: number,
  ) {}

  get hasSpace(): boolean {
    return this.free >= this.minFreeBytes;
  }

  get freeBytes(): number {
    return Number.isFinite(this.free) ? this.free : 0;
  }

  async start(): Promise<void> {
    await this.look();
    this.timer = setInterval(() => void this.look(), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.folder);
      this.free = bavail * bsize;
    } catch {
      // Unknown is not full: SQLite itself says so when it is.
      this.free = Number.POSITIVE_INFINITY;
    }
  }
}

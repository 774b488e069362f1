import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log file that takes at most (`keep` + 1) x `maxBytes` of the disk: `a.log`, `a.log.1` (newer) … `a.log.<keep>`. */
export class RotatingLog {
  private file: number | undefined;
  private bytes = 0;
  /** Lines that could not be written, as on a full disk; logging never stops the box. */
  lost = 0;

  constructor(
    private readonly path: string,
    private readonly maxBytes = 10_000_000,
    private readonly keep = 3,
  ) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  write(line: string): void {
    const data = Buffer.from(`${line}\n`);
    try {
      if (this.bytes + data.length > this.maxBytes) this.rotate();
      this.file ??= this.open();
      writeSync(this.file, data);
      this.bytes += data.length;
    } catch {
      this.lost++;
    }
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private open(): number {
    const file = openSync(this.path, 'a', 0o600);
    this.bytes = fstatSync(file).size;
    return file;
  }

  private rotate(): void {
    this.close();
    this.bytes = 0;
    for (let n = this.keep; n > 0; n--) {
      try {
        renameSync(n === 1 ? this.path : `${this.path}.${n - 1}`, `${this.path}.${n}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }
}

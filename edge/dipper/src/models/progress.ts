/** What a person who waits is shown. */
export interface Progress {
  step(text: string): void;
  /** `total` is undefined where the server does not say. */
  bytes(what: string, done: number, total: number | undefined): void;
  /** Leaves the line free for what is written next. */
  end(): void;
}

interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR = 24;
const REDRAW_EVERY_MS = 100;

/** A bar that is drawn over on a terminal; elsewhere a line at the start, at each tenth (10 MB where the size is unknown) and at the end. */
export function progressOn(screen: Screen, now: () => number = Date.now): Progress {
  return screen.isTTY ? bar(screen, now) : lines(screen);
}

function bar(screen: Screen, now: () => number): Progress {
  let drawn = false;
  let drawnAt = 0;
  const end = (): void => {
    if (drawn) screen.write('\n');
    drawn = false;
  };
  return {
    step: (text) => {
      end();
      screen.write(`${text}\n`);
    },
    bytes: (what, done, total) => {
      if (done !== total && now() - drawnAt < REDRAW_EVERY_MS) return;
      drawnAt = now();
      const filled = total ? Math.round((BAR * done) / total) : 0;
      const figure = total ? `[${'#'.repeat(filled).padEnd(BAR, '.')}] ${percent(done, total)} ` : '';
      const line = `${what}  ${figure}${megabytes(done)}${total ? ` of ${megabytes(total)}` : ''}`;
      // One that wraps could not be drawn over.
      screen.write(`\r${line.slice(0, (screen.columns ?? 80) - 1)}\u001b[K`);
      drawn = true;
      if (done === total) end();
    },
    end,
  };
}

function lines(screen: Screen): Progress {
  let shown = '';
  return {
    step: (text) => screen.write(`${text}\n`),
    bytes: (what, done, total) => {
      const mark = `${what} ${total ? Math.floor((10 * done) / total) : Math.floor(done / 10_000_000)}`;
      if (mark === shown) return;
      shown = mark;
      screen.write(`${what} ${megabytes(done)}${total ? ` of ${megabytes(total)} (${percent(done, total)})` : ''}\n`);
    },
    end: () => undefined,
  };
}

const percent = (done: number, total: number): string => `${Math.floor((100 * done) / total)}%`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

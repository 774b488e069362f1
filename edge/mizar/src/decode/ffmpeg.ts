import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { mizarErrors } from '../mizar.errors';

/** Where the decoder lies, and how its version spells things. */
export interface FfmpegTools {
  readonly ffmpeg: string;
  readonly ffprobe: string;
  /** Every frame as it comes, neither doubled nor dropped. */
  readonly passthrough: readonly string[];
  readonly version: string;
}

/** Throws `decoder.missing` when either cannot be run. */
export async function findFfmpeg(ffmpeg = 'ffmpeg', ffprobe = 'ffprobe'): Promise<FfmpegTools> {
  try {
    const run = promisify(execFile);
    const { stdout } = await run(ffmpeg, ['-version'], { timeout: 10_000 });
    await run(ffprobe, ['-version'], { timeout: 10_000 });
    const version = /^ffmpeg version (\S+)/.exec(stdout)?.[1] ?? '';
    // -fps_mode came with 5.1; static builds of 2018 are still about.
    const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
    const old = major > 0 && (major < 5 || (major === 5 && minor < 1));
    return { ffmpeg, ffprobe, version, passthrough: old ? ['-vsync', '0'] : ['-fps_mode', 'passthrough'] };
  } catch (error) {
    throw mizarErrors.decoderMissing(error);
  }
}

/**
 * How a file of footage is opened. Only containers of recorded video, and only this file: a playlist dressed up as
 * footage could otherwise make ffmpeg open other files and addresses.
 */
export function inputArguments(path: string, isHikvision: boolean): string[] {
  const formats = 'mpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,h264,hevc,dhav';
  return [
    '-protocol_whitelist',
    'file,pipe',
    '-format_whitelist',
    formats,
    // Hikvision puts 40 bytes of its own ("IMKH") before the program stream.
    ...(isHikvision ? ['-f', 'mpeg', '-skip_initial_bytes', '40'] : []),
    '-i',
    `file:${path}`,
  ];
}

/** A child that is surely gone: killed when the signal aborts, and when nothing was heard of it for too long. */
export interface Watched {
  readonly child: ChildProcess;
  /** Anything came from it. */
  readonly alive: () => void;
  /** It is waiting for us, not we for it. */
  readonly hold: (held: boolean) => void;
  /** Its exit code; the last of what it said; whether the watchdog killed it. Throws `decoder.missing` when it never ran. */
  readonly ended: Promise<{ code: number | null; said: string; stalled: boolean }>;
}

const KEPT_STDERR_BYTES = 4096;

export function watch(command: string, args: readonly string[], pipes: number, stallMs: number, signal: AbortSignal): Watched {
  const stdio: ('ignore' | 'pipe')[] = ['ignore', ...Array.from({ length: pipes - 1 }, () => 'pipe' as const)];
  const child = spawn(command, args, { stdio });
  let said = '';
  let heardAt = performance.now();
  let held = false;
  let stalled = false;
  const kill = (): void => {
    child.kill('SIGKILL');
    // What it had written and nobody reads would keep the pipes, and so the child, from being over.
    for (const pipe of child.stdio) pipe?.destroy();
  };
  const timer = setInterval(
    () => {
      if (held) heardAt = performance.now();
      if (performance.now() - heardAt < stallMs) return;
      stalled = true;
      kill();
    },
    Math.min(1000, stallMs),
  );
  if (signal.aborted) kill();
  signal.addEventListener('abort', kill, { once: true });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_STDERR_BYTES);
  });
  const ended = new Promise<{ code: number | null; said: string; stalled: boolean }>((resolve, reject) => {
    child.once('error', (error) => reject(mizarErrors.decoderMissing(error)));
    child.once('close', (code) => resolve({ code, said, stalled }));
  }).finally(() => {
    clearInterval(timer);
    signal.removeEventListener('abort', kill);
  });
  // Awaited by whoever reads the child, but possibly later than it fails.
  ended.catch(() => {});
  return {
    child,
    alive: () => {
      heardAt = performance.now();
    },
    hold: (value) => {
      held = value;
    },
    ended,
  };
}

/** The lines of a child's pipe. They end with the pipe: readline by itself waits for ever on one that a kill destroyed. */
export function linesOf(pipe: Readable): Interface {
  const lines = createInterface({ input: pipe, crlfDelay: Number.POSITIVE_INFINITY });
  pipe.once('close', () => lines.close());
  return lines;
}

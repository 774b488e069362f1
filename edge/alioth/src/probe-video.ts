import { spawn } from 'node:child_process';
import { programStreamDurationMs } from './program-stream';
import { fault } from './recorder.errors';

const MAX_PROBES = 2;
const PROBE_TIMEOUT_MS = 20_000;
let probing = 0;
const waiting: (() => void)[] = [];

/**
 * How long a downloaded file plays, in ms; 0 when it holds video but no end can be told. Throws `segment.corrupt`
 * when it is no video file and `segment.no_video` when it is one without pictures.
 */
export async function probeVideo(path: string, isProgramStream: boolean): Promise<number> {
  const duration = await programStreamDurationMs(path);
  if (duration !== undefined) return duration;
  if (probing >= MAX_PROBES) await new Promise<void>((resolve) => waiting.push(resolve));
  probing++;
  try {
    // A program stream that ffprobe cannot open has no stream in it; anything else is simply broken.
    return await ffprobe(path, isProgramStream ? fault('segment.no_video') : fault('segment.corrupt', { reason: 'not a video file' }));
  } finally {
    probing--;
    waiting.shift()?.();
  }
}

function ffprobe(path: string, unreadable: Error): Promise<number> {
  return new Promise((resolve, reject) => {
    const args = ['-v', 'error', '-select_streams', 'v', '-show_entries', 'stream=codec_type:format=duration', '-of', 'json', path];
    const child = spawn('ffprobe', args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: PROBE_TIMEOUT_MS, killSignal: 'SIGKILL' });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (out.length < 65_536) out += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) return reject(unreadable);
      const found = JSON.parse(out) as { streams?: unknown[]; format?: { duration?: string } };
      if (!found.streams?.length) return reject(fault('segment.no_video'));
      const seconds = Number(found.format?.duration);
      resolve(Number.isFinite(seconds) && seconds > 0 ? Math.round(seconds * 1000) : 0);
    });
  });
}

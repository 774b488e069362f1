import { spawn } from 'node:child_process';
import { unlink } from 'node:fs/promises';

const run = (command: string, args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err = (err + chunk.toString()).slice(-2000);
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${command} ended with ${code}: ${err.trim()}`))));
  });

const probe = async (path: string): Promise<string> => {
  const found = await run('ffprobe', [
    '-v',
    'error',
    '-select_streams',
    'v:0',
    '-show_entries',
    'stream=codec_name',
    '-of',
    'csv=p=0',
    path,
  ]);
  // A transport stream names the stream twice: by itself and in its program.
  return found.split('\n')[0]?.replace(/,$/, '').trim() ?? '';
};

/**
 * Copies the video of an MP4, TS or MKV into MPEG-PS, as recorders hand it out, without encoding again.
 *
 * The `vob` muxer takes H.264 and H.265, but only as Annex B: without the bitstream filter the length-prefixed
 * NAL units of an MP4 go in unchanged and every demuxer takes the stream for MP3. Sound is left out.
 * Rejects when the result does not read back as the codec that went in; then there is no file at `output`.
 */
export async function packMpegPs(input: string, output: string): Promise<'h264' | 'hevc'> {
  const codec = await probe(input);
  if (codec !== 'h264' && codec !== 'hevc') throw new Error(`${input} holds ${codec || 'no video'}, not h264 or hevc`);
  await run('ffmpeg', [
    '-v',
    'error',
    '-nostdin',
    '-y',
    '-i',
    input,
    '-map',
    '0:v:0',
    '-c',
    'copy',
    '-bsf:v',
    `${codec}_mp4toannexb`,
    '-f',
    'vob',
    output,
  ]);
  const found = await probe(output);
  if (found === codec) return codec;
  await unlink(output);
  throw new Error(`${input} was ${codec} but reads back from MPEG-PS as ${found || 'nothing'}`);
}

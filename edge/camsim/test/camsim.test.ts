/** The simulated recorder as a process, and the packing of real video. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CatalogueInput, catalogue, packMpegPs, segmentsBetween } from '../src';

const dir = mkdtempSync(join(tmpdir(), 'camsim-'));
let child: ChildProcess | undefined;
afterAll(() => {
  child?.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

const run = async (command: string, ...args: string[]): Promise<string> => {
  const running = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  running.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(running, 'close');
  return out;
};

describe('packMpegPs', () => {
  it.each([
    ['libx264', 'h264', 'mp4'],
    ['libx265', 'hevc', 'mp4'],
    ['libx264', 'h264', 'ts'],
  ])('keeps every picture of %s (%s in %s)', async (encoder, codec, container) => {
    const input = join(dir, `${codec}.${container}`);
    const quiet = encoder === 'libx265' ? ['-x265-params', 'log-level=none'] : [];
    await run(
      'ffmpeg',
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      'testsrc2=size=320x180:rate=12',
      '-t',
      '2',
      '-c:v',
      encoder,
      '-preset',
      'ultrafast',
      ...quiet,
      input,
    );
    const output = join(dir, `${codec}.ps`);
    expect(await packMpegPs(input, output)).toBe(codec);
    const probed = await run(
      'ffprobe',
      '-v',
      'error',
      '-count_frames',
      '-show_entries',
      'stream=codec_name,nb_read_frames',
      '-of',
      'csv=p=0',
      output,
    );
    expect(probed.trim()).toMatch(new RegExp(`^${codec},24`));
  });
});

describe('catalogue', () => {
  it('refuses files outside its folder and times that run backwards', () => {
    const one = (segment: object): CatalogueInput => ({
      channels: [{ channel: 1, name: '', segments: [{ from: 1, to: 2, file: 'a.ps', codec: 'h264', ...segment }] }],
    });
    expect(catalogue.safeParse(one({})).success).toBe(true);
    for (const bad of [{ file: '../a.ps' }, { file: '/etc/passwd' }, { to: 1 }, { codec: 'vp9' }])
      expect(catalogue.safeParse(one(bad)).success).toBe(false);
  });

  it('finds virtual segments by arithmetic, at both edges', () => {
    const [channel] = catalogue.parse({
      channels: [
        { channel: 1, name: '', virtual: { from: 1000, count: 1_000_000, segmentMs: 1000, gapMs: 500, file: 'a.ps', codec: 'h264' } },
      ],
    }).channels;
    if (!channel) throw new Error('no channel');
    const spans = (from: number, to: number) => {
      const found = segmentsBetween(channel, from, to);
      return Array.from({ length: found.count }, (_, i) => found.at(i)?.from);
    };
    expect(spans(0, 1000)).toEqual([]);
    expect(spans(0, 1001)).toEqual([1000]);
    expect(spans(2000, 2500)).toEqual([]);
    expect(spans(1999, 2501)).toEqual([1000, 2500]);
    expect(segmentsBetween(channel, 0, 1e13).count).toBe(1_000_000);
  });
});

describe('the process', () => {
  it('serves, lets faults be switched on its control port, and ends with its parent', async () => {
    const aRecorderConfig = { footageDir: dir, catalogue: { channels: [{ channel: 1, name: 'Gate', segments: [] }] } };
    const config = join(dir, 'config.json');
    writeFileSync(config, JSON.stringify({ recorders: [aRecorderConfig] }));
    child = spawn(process.execPath, [join(__dirname, '..', 'dist', 'main.js')], {
      env: { ...process.env, CAMSIM_CONFIG: config },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const ready = JSON.parse(line.toString()) as { type: string; recorders: { url: string }[]; controlPort: number };
    expect(ready.type).toBe('ready');
    const control = `http://127.0.0.1:${ready.controlPort}/_sim`;
    expect((await fetch(`${ready.recorders[0]?.url}/ISAPI/System/deviceInfo`)).status).toBe(401);
    await fetch(`${control}/faults`, { method: 'PUT', body: '{"pageCap":3}' });
    await fetch(`${control}/faults`, { method: 'PUT', body: '{"down":"busy"}' });
    expect((await fetch(`${control}/faults`, { method: 'PUT', body: '{"nonsense":1}' })).status).toBe(400);
    expect(await (await fetch(`${control}/faults`)).json()).toMatchObject({ pageCap: 3, down: 'busy' });
    expect((await fetch(`${ready.recorders[0]?.url}/ISAPI/System/deviceInfo`)).status).toBe(503);
    expect(await (await fetch(`${control}/stats`)).json()).toMatchObject({ requests: { '/ISAPI/System/deviceInfo': 2 } });
    child.disconnect();
    await once(child, 'exit');
  });
});

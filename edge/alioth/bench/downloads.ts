/**
 * Downloads at once from fast recorders, beside what `curl` takes for the same bytes from the same recorders, to files
 * in the same folder. Alioth and the recorders are processes of their own. Run: `node edge/alioth/bench/downloads.ts`
 * after a build (BENCH_MB: size of a file, default 20).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packMpegPs } from '@dipper/camsim';
import { agentSocket, callUnary, dial, serveGrpc, streaming, unary } from '@dipper/platform';
import { alioth, dubhe } from '@stardipper/proto';

const load = createRequire(import.meta.url);
const RECORDERS = 10;
const FROM = Date.UTC(2026, 10, 17, 16);
const MINUTE = 60_000;
const password = 'dipper123';
const children: ChildProcess[] = [];

const run = async (command: string, args: readonly string[]): Promise<void> => {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
};

/** A video of about this size: noise does not compress, so it is made quickly and stays large. */
async function makeVideo(dir: string, megabytes: number): Promise<number> {
  const mp4 = join(dir, 'noise.mp4');
  const noise = ['-f', 'lavfi', '-i', 'nullsrc=size=1280x720:rate=25,geq=random(1)*255:128:128'];
  const rate = `${megabytes}M`;
  await run('ffmpeg', ['-v', 'error', '-y', ...noise, '-t', '1', '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', rate, mp4]);
  await packMpegPs(mp4, join(dir, 'one.ps'));
  const one = readFileSync(join(dir, 'one.ps'));
  const times = Math.max(1, Math.round((megabytes * 1024 ** 2) / one.length));
  writeFileSync(join(dir, 'noise.ps'), Buffer.concat(Array.from({ length: times }, () => one)));
  return times * one.length;
}

async function start(script: string, env: Record<string, string>): Promise<{ child: ChildProcess; ready: Record<string, unknown> }> {
  const child = spawn(process.execPath, [load.resolve(script)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.push(child);
  const ready = await new Promise<Record<string, unknown>>((resolve) => {
    child.on('message', (message) => resolve(message as Record<string, unknown>));
    child.stdout?.on('data', (chunk: Buffer) => {
      const line = chunk
        .toString()
        .split('\n')
        .find((text) => text.includes('"type":"ready"'));
      if (line) resolve(JSON.parse(line) as Record<string, unknown>);
    });
  });
  return { child, ready };
}

const rssMb = (pid: number | undefined): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'alioth-bench-'));
  try {
    const bytes = await makeVideo(dir, Number(process.env.BENCH_MB ?? 20));
    const segments = Array.from({ length: 100 }, (_, i) => ({
      from: FROM + i * MINUTE,
      to: FROM + (i + 1) * MINUTE,
      file: 'noise.ps',
      codec: 'h264',
    }));
    const one = { footageDir: dir, catalogue: { channels: [{ channel: 1, name: 'Gate', segments }] }, faults: { maxSessions: 64 } };
    const config = join(dir, 'camsim.json');
    writeFileSync(config, JSON.stringify({ recorders: Array.from({ length: RECORDERS }, () => one) }));
    const { ready } = await start('@dipper/camsim/dist/main.js', { CAMSIM_CONFIG: config });
    const urls = (ready.recorders as { url: string }[]).map(({ url }) => url);
    const dataDir = join(dir, 'box');
    const attributes = Object.fromEntries(
      urls.map((baseUrl, i) => [
        `recorder.r${i}`,
        JSON.stringify({ id: `r${i}`, kind: 'isapi', baseUrl, username: 'admin', password, maxSessions: 10, timeMode: 'local' }),
      ]),
    );
    const server = await serveGrpc(agentSocket(dataDir, 'dubhe'), [
      [
        dubhe.DubheServiceService,
        {
          submitReports: unary(() => ({})),
          watchConfig: streaming(async function* (_: unknown, signal: AbortSignal) {
            yield { revision: 1, attributes };
            await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          }),
        },
      ],
    ]);
    const { child } = await start('@dipper/alioth/dist/main.js', {
      DIPPER_DATA: dataDir,
      LOG_LEVEL: 'error',
      ALIOTH_SPOOL_BYTES: String(4 * 1024 ** 3),
    });
    const client = dial(alioth.AliothServiceClient, agentSocket(dataDir, 'alioth'));
    const list = async (i: number) => {
      const request = { recorderId: `r${i}`, channel: 1, fromMs: FROM, toMs: FROM + 100 * MINUTE, pageSize: 100, priority: 3 };
      for (;;) {
        try {
          return (await callUnary(client, client.listSegments, request, { timeoutMs: 10_000 })).segments;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    const listed = await Promise.all(urls.map((_, i) => list(i)));
    console.log(
      `files of ${(bytes / 1024 ** 2).toFixed(1)} MB from ${RECORDERS} recorders; idle Alioth: ${rssMb(child.pid).toFixed(0)} MB resident`,
    );
    let used = 0;
    for (const count of [10, 50, 100]) {
      // Unlike Alioth, curl neither fsyncs nor looks at what it got.
      const curl = await timed(() => withCurl(dir, urls, listed, count));
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, rssMb(child.pid));
      }, 20);
      const perRecorder = Math.ceil(count / RECORDERS);
      const wanted = listed.flatMap((all) => all.slice(used, used + perRecorder)).slice(0, count);
      used += perRecorder;
      const ours = await timed(() =>
        Promise.all(wanted.map((segment) => callUnary(client, client.downloadSegment, { segment, priority: 3 }, { timeoutMs: 300_000 }))),
      );
      clearInterval(watch);
      await Promise.all(wanted.map((segment) => callUnary(client, client.releaseSegment, { segment }, { timeoutMs: 5000 })));
      const rate = (ms: number): string => `${((count * bytes) / 1024 ** 2 / (ms / 1000)).toFixed(0)} MB/s`;
      console.log(
        `${count} at once: curl ${curl} ms (${rate(curl)}), Alioth ${ours} ms (${rate(ours)}), ratio ${(curl / ours).toFixed(2)}, peak ${peak.toFixed(0)} MB resident`,
      );
    }
    client.close();
    server.forceShutdown();
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => (child.exitCode === null ? once(child, 'exit') : undefined)));
    rmSync(dir, { recursive: true, force: true });
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return Math.round(performance.now() - from);
}

/** One curl process for all of them, so that starting processes is not what is measured. */
async function withCurl(
  dir: string,
  urls: readonly string[],
  listed: readonly (readonly { playbackUri: string }[])[],
  count: number,
): Promise<void> {
  const out = join(dir, 'curl');
  mkdirSync(out, { recursive: true });
  const blocks = Array.from({ length: count }, (_, i) => {
    const uri = listed[i % RECORDERS]?.[Math.floor(i / RECORDERS)]?.playbackUri ?? '';
    const body = join(out, `${i}.xml`);
    writeFileSync(body, `<downloadRequest><playbackURI>${uri.replaceAll('&', '&amp;')}</playbackURI></downloadRequest>`);
    return `url = "${urls[i % RECORDERS]}/ISAPI/ContentMgmt/download"\ndigest\nuser = "admin:${password}"\ndata-binary = "@${body}"\noutput = "${join(out, `${i}.ps`)}"\nfail\n`;
  });
  const config = join(out, 'curl.conf');
  writeFileSync(config, blocks.join('next\n'));
  await run('curl', ['--silent', '--parallel', '--parallel-immediate', '--parallel-max', String(count), '--config', config]);
  rmSync(out, { recursive: true });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

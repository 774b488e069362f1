/**
 * A task over 1,000,000 listed segments beside one over 10,000: time from createTask to the first download, and how much
 * Merak's memory grows until some thousands of them are done. Merak is a process of its own; recorders and faces are
 * simulated here, listing lazily. Run: `node edge/merak/bench/million.ts` after a build (BENCH_SEGMENTS: how many to work off, default 5,000).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentSocket, callUnary, dial, nodeFlags } from '@dipper/platform';
import { agent } from '@stardipper/proto';
import { type Footage, packId, SimBox, wait } from '../test/support/sim-box.ts';

const minute = 60_000;
const start = Date.UTC(2020, 0, 1);
const cameraCount = 50;
const workOff = Number(process.env.BENCH_SEGMENTS ?? 5_000);

/** Minutes of footage without end, made as they are asked for. */
function endless(from: number, to: number, limit: number): Footage[] {
  const first = Math.floor((from - start) / minute);
  const count = Math.min(limit, Math.ceil((to - start) / minute) - first);
  return Array.from({ length: count }, (_, i) => ({ from: start + (first + i) * minute, to: start + (first + i + 1) * minute }));
}

const rssMb = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

async function measure(segments: number): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'merak-bench-'));
  const cameras = Array.from({ length: cameraCount }, (_, i) => ({
    id: `cam-${i}`,
    recorderId: `nvr-${i % 5}`,
    channel: 1 + Math.floor(i / 5),
    footage: endless,
    faceEveryMs: minute,
  }));
  const recorders = [0, 1, 2, 3, 4].map((i) => ({ id: `nvr-${i}`, maxSessions: 4 }));
  const sim = new SimBox(dataDir, recorders, cameras);
  sim.downloadMs = 0;
  sim.indexMs = 0;
  await sim.start();
  const main = join(import.meta.dirname, '..', 'dist', 'main.js');
  const env = { ...process.env, DIPPER_DATA: dataDir, LOG_LEVEL: 'error', MERAK_CALIBRATE: 'off' };
  const merak = spawn(process.execPath, [...nodeFlags('merak'), main], { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    await once(merak, 'message');
    const pid = merak.pid ?? 0;
    await wait(1_000);
    const idle = rssMb(pid);
    const commands = dial(agent.CommandServiceClient, agentSocket(dataDir, 'merak'));
    const query = sim.query({ packId, threshold: 0.5, persons: [{ id: 'anna', embeddings: [Buffer.alloc(512, 1).toString('base64')] }] });
    const params = {
      taskId: 'bench',
      searchId: 'bench',
      priority: 3,
      expiresAt: Date.now() + 3_600_000,
      range: { from: start, to: start + (segments / cameraCount) * minute },
      cameras: cameras.map(({ id, recorderId, channel }) => ({ id, recorderId, channel })),
      packId,
      query,
    };
    const asked = performance.now();
    await callUnary(
      commands,
      commands.handleCommand,
      { method: 'createTask', paramsJson: JSON.stringify(params), expiresAtMs: 0 },
      { timeoutMs: 10_000 },
    );
    const acceptedMs = performance.now() - asked;
    let peak = idle;
    const until = performance.now() + 240_000;
    while (sim.calls.indexSegment < Math.min(workOff, segments) && performance.now() < until) {
      await wait(50);
      peak = Math.max(peak, rssMb(pid));
    }
    const tookS = (performance.now() - asked) / 1_000;
    const first = (sim.downloads[0]?.at ?? Number.NaN) - asked;
    commands.close();
    console.log(
      [
        `${segments.toLocaleString('en')} listed segments on ${cameraCount} cameras:`,
        `accepted after ${acceptedMs.toFixed(1)} ms, first download after ${first.toFixed(0)} ms,`,
        `${sim.calls.indexSegment.toLocaleString('en')} segments in ${tookS.toFixed(1)} s,`,
        `memory ${idle.toFixed(0)} MB idle, ${peak.toFixed(0)} MB at most (+${(peak - idle).toFixed(0)} MB),`,
        `${sim.calls.listSegments} listings`,
      ].join(' '),
    );
  } finally {
    merak.kill('SIGKILL');
    await once(merak, 'exit');
    await sim.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

await measure(10_000);
await measure(1_000_000);
process.exit(0);

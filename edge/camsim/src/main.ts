/**
 * One or more simulated recorders as a process. `CAMSIM_CONFIG` names a JSON file: the options of one recorder, or
 * `{ "recorders": [<options>, …], "controlPort": 0 }`. Prints one line of JSON when all of them listen; ends on SIGTERM
 * and when its IPC channel closes.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { startControl } from './control';
import { recorderOptions, type SimulatedRecorder, startRecorder } from './recorder';

const several = z.strictObject({
  recorders: z.array(recorderOptions).min(1).max(64),
  controlPort: z.int().min(0).max(65535).default(0),
});
const config = z.union([several, recorderOptions.transform((one) => ({ recorders: [one], controlPort: 0 }))]);

async function main(path: string | undefined): Promise<void> {
  if (!path) throw new Error('CAMSIM_CONFIG is not set');
  const { recorders, controlPort } = config.parse(JSON.parse(readFileSync(path, 'utf8')));
  const running: SimulatedRecorder[] = [];
  for (const options of recorders) running.push(await startRecorder(options));
  const control = await startControl(running, controlPort);
  console.log(JSON.stringify({ type: 'ready', recorders: running.map(({ url, port }) => ({ url, port })), controlPort: control.port }));
  const end = () => process.exit(0);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  process.once('disconnect', end);
}

main(process.env.CAMSIM_CONFIG).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

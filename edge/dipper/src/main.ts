import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { version } from '@dipper/dubhe';
import { AgentError } from '@dipper/platform';
import { Command } from 'commander';
import { pino } from 'pino';
import { readConfig } from './box-config';
import { boxStatus, statusTable } from './box-status';
import { modelsCommand } from './models/models-command';
import { superviseBox } from './supervise-box';

interface RunFlags {
  readonly data: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** Runs the box until it is told to end, or whoever started it is gone. */
async function run({ data, config, json }: RunFlags): Promise<void> {
  const given = config ?? join(data, 'dipper.json');
  const settings = config !== undefined || existsSync(given) ? readConfig(given) : {};
  const log = pino(
    { name: 'dipper', level: settings.LOG_LEVEL ?? process.env.LOG_LEVEL ?? 'info' },
    pino.destination({ dest: 2, sync: true }),
  );
  const ending = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, () => done());
  });
  const box = await superviseBox({ dataDir: resolve(data), settings: { ...process.env, ...settings }, log });
  void box.ready.then(() => {
    const dataDir = resolve(data);
    log.info({ data: dataDir }, 'ready');
    if (json) process.stdout.write(`${JSON.stringify({ type: 'ready', data: dataDir, pids: box.pids() })}\n`);
  });
  await ending;
  await box.stop();
}

/** Exit status 0 when every agent answers and none has failed. */
async function status({ data, json }: Omit<RunFlags, 'config'>): Promise<void> {
  const agents = await boxStatus(resolve(data));
  process.stdout.write(`${json ? JSON.stringify({ agents }) : statusTable(agents, Date.now())}\n`);
  process.exitCode = agents.every((one) => one.state === 'ok' || one.state === 'degraded') ? 0 : 1;
}

const program = new Command('dipper').description('The box beside the cameras: searches their footage on site.');
program
  .command('run')
  .description('run the four agents and keep them running')
  .requiredOption('--data <dir>', 'where the box keeps everything')
  .option('--config <file>', 'settings (default: dipper.json in the data folder)')
  .option('--json', 'say on standard output, as one line of JSON, when everything is ready')
  .action(run);
program
  .command('status')
  .description('ask each agent how it is')
  .requiredOption('--data <dir>', 'the data folder of the running box')
  .option('--json', 'as JSON')
  .action(status);
program.addCommand(modelsCommand(process.env));
program
  .command('version')
  .description('print the version')
  .action(() => {
    process.stdout.write(`${version}\n`);
  });

program.parseAsync().then(
  () => process.exit(),
  (error: unknown) => {
    const known =
      error instanceof AgentError ? `${error.code} ${JSON.stringify(error.params)}` : String(error instanceof Error ? error.stack : error);
    process.stderr.write(`dipper: ${known}\n`);
    process.exit(1);
  },
);

import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AgentError } from '@dipper/platform';
import { Command } from 'commander';
import { readConfig } from '../box-config';
import type { PinnedPack } from './list-packs';
import { modelsErrors } from './models.errors';

/** How long a box may take to end its work and load two models on a slow disk. */
const FOLLOW_WITHIN_MS = 120_000;

interface Flags {
  readonly data: string;
  readonly config?: string;
  readonly json?: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * `dipper models`. What the subcommands need is loaded when one runs: a box that runs for months holds no ONNX runtime
 * in its supervisor.
 */
export function modelsCommand(env: Env): Command {
  const use = async (id: string, flags: Flags, waitMs: number) => {
    const { usePack } = await import('./use-pack.js');
    const pinned = pinnedPack(flags, env);
    const outcome = await usePack({ dataDir: resolve(flags.data), id, waitMs, ...(pinned ? { pinned } : {}) });
    const words = {
      running: `The box works with ${id}.`,
      not_running: `The box is not running; it will work with ${id} when it is started.`,
      pinned: `${id} is chosen, but ${pinned?.by ?? 'MIZAR_PACK of the running box'} names another pack and wins.`,
      chosen: `${id} is chosen.`,
    };
    return { outcome, text: words[outcome] };
  };
  const models = new Command('models').description('the model packs of a box: add, check, switch, remove');
  const command = (usage: string, description: string): Command =>
    models
      .command(usage)
      .description(description)
      .requiredOption('--data <dir>', 'where the box keeps everything')
      .option('--config <file>', 'settings of the box (default: dipper.json in the data folder)')
      .option('--json', 'answer as JSON');

  command('list', 'what is installed, what is in use, what can be added by name').action(async (flags: Flags) => {
    const { listPacks, packTable } = await import('./list-packs.js');
    const list = await listPacks(resolve(flags.data), pinnedPack(flags, env));
    say(flags, list, packTable(list));
  });

  command('add <source>', 'install a pack: a folder, a .tar.gz, its http(s) address, or a name of the catalogue')
    .option('--sha256 <hex>', 'of the archive: another one is refused before it is opened')
    .option('--accept-non-commercial', 'install a pack whose licence forbids commercial use')
    .option('--use', 'and work with it from now on')
    .action(async (source: string, flags: Flags & { sha256?: string; acceptNonCommercial?: boolean; use?: boolean }) => {
      const [{ addPack }, { progressOn }] = await Promise.all([import('./add-pack.js'), import('./progress.js')]);
      const { data, sha256, acceptNonCommercial } = flags;
      requireOwner(data);
      const progress = progressOn(process.stderr);
      const added = await addPack({
        dataDir: resolve(data),
        source,
        ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
        acceptNonCommercial: acceptNonCommercial ?? false,
        progress,
      });
      const { id, licence } = added.spec;
      const { alreadyInstalled } = added;
      const text = alreadyInstalled ? `${id} is installed already.` : `${id} is installed (${licence}).`;
      if (!flags.use) return say(flags, { id, licence, alreadyInstalled }, `${text} To use it: dipper models use ${id}`);
      const used = await use(id, flags, FOLLOW_WITHIN_MS);
      // Whoever wanted both must not believe that the box works with it.
      if (used.outcome === 'pinned') process.exitCode = 1;
      say(flags, { id, licence, alreadyInstalled, outcome: used.outcome }, `${text} ${used.text}`);
    });

  command('verify [id]', 'read every byte and open every model again, of one pack or of all').action(
    async (id: string | undefined, flags: Flags) => {
      const [{ installedIds }, { verifyPacks }] = await Promise.all([import('./list-packs.js'), import('./verify-packs.js')]);
      const dataDir = resolve(flags.data);
      const results = await verifyPacks(dataDir, id === undefined ? installedIds(dataDir) : [id]);
      const line = (one: (typeof results)[number]): string => `${one.id}  ${one.ok ? 'good' : `${one.code} ${JSON.stringify(one.params)}`}`;
      say(flags, { packs: results }, results.map(line).join('\n') || 'No pack is installed.');
      if (results.some((one) => !one.ok)) process.exitCode = 1;
    },
  );

  command('use <id>', 'work with this pack from now on')
    .option('--no-wait', 'do not wait until the box works with it')
    .action(async (id: string, flags: Flags & { wait: boolean }) => {
      requireOwner(flags.data);
      const { outcome, text } = await use(id, flags, flags.wait ? FOLLOW_WITHIN_MS : 0);
      say(flags, { id, outcome }, text);
    });

  command('remove <id>', 'take a pack away')
    .option('--force', 'also the one in use or the one before')
    .action(async (id: string, flags: Flags & { force?: boolean }) => {
      requireOwner(flags.data);
      const { removePack } = await import('./remove-pack.js');
      const pinned = pinnedPack(flags, env);
      await removePack({ dataDir: resolve(flags.data), id, force: flags.force ?? false, ...(pinned ? { pinned } : {}) });
      say(flags, { id, removed: true }, `${id} is removed.`);
    });
  return models;
}

/** Under `sudo` it would work once, and then the box could read neither its packs nor its locks. */
function requireOwner(dataDir: string): void {
  const owner = statSync(dataDir, { throwIfNoEntry: false })?.uid;
  if (owner !== undefined && owner !== process.getuid?.()) throw modelsErrors.wrongUser(owner);
}

/** The settings win over the environment, as they do for `dipper run`. */
function pinnedPack({ data, config }: Flags, env: Env): PinnedPack | undefined {
  const given = config ?? join(data, 'dipper.json');
  const settings = config !== undefined || existsSync(given) ? settingsOf(given) : {};
  if (settings.MIZAR_PACK) return { by: given, folder: settings.MIZAR_PACK };
  return env.MIZAR_PACK ? { by: 'MIZAR_PACK', folder: env.MIZAR_PACK } : undefined;
}

/** Settings that `dipper run` would refuse do not keep anybody from looking after the packs. */
function settingsOf(path: string): Record<string, string> {
  try {
    return readConfig(path);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    process.stderr.write(`dipper: ${error.code} ${JSON.stringify(error.params)}\n`);
    return {};
  }
}

function say({ json }: Flags, answer: unknown, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(answer) : text}\n`);
}

/**
 * Makes a fresh clone ready and runs one of the workspace's commands on the Node of the lockfile, whatever
 * Node the host has. Plain JavaScript with no dependency: it runs before anything is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const [command, ...args] = process.argv.slice(2);
const say = (text) => process.stderr.write(`${text}\n`);

function run(program, programArgs, options = {}) {
  const result = spawnSync(program, programArgs, { stdio: ['ignore', 2, 2], ...options });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

function must(what, program, programArgs, options) {
  const status = run(program, programArgs, options);
  if (status !== 0) {
    say(`${what} failed (exit status ${status}).`);
    process.exit(1);
  }
}

function hashOf(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** `npm ci` when the lockfile is not the one that is installed. */
function installPackages() {
  const stamp = join('node_modules', '.installed');
  const wanted = hashOf('package-lock.json');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Installing packages (npm ci)…');
  must('npm ci', 'npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund']);
  writeFileSync(stamp, wanted);
}

/** The Node of the lockfile; its folder goes first on the PATH, so child processes get it too. */
function useLockedNode() {
  const binary = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(binary)) {
    process.env.PATH = `${dirname(binary)}${delimiter}${process.env.PATH}`;
    return binary;
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  say(`No Node 24 for linux-${process.arch} in the lockfile, and this one is ${process.version}. Install Node 24 or newer.`);
  process.exit(1);
}

const has = (program) => spawnSync(program, ['-version'], { stdio: 'ignore' }).status === 0;

/** The system's ffmpeg, else apt's where we may, else a static one from npm. */
function findFfmpeg() {
  if (has('ffmpeg') && has('ffprobe')) return;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say('Installing ffmpeg (apt-get)…');
    run('apt-get', ['update', '-qq']);
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'ffmpeg'], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (has('ffmpeg') && has('ffprobe')) return;
  }
  say('No ffmpeg here and no right to install it: using the static build from npm (older and slower).');
  const folder = join(root, 'node_modules', '.ffmpeg');
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'node_modules'))) {
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    must('Installing the static ffmpeg', 'npm', [
      'install',
      '--prefix',
      folder,
      '--loglevel=error',
      '@ffmpeg-installer/ffmpeg@1.1.0',
      '@ffprobe-installer/ffprobe@2.1.2',
    ]);
  }
  const platform = `linux-${process.arch}`;
  process.env.PATH = [
    join(folder, 'node_modules', '@ffmpeg-installer', platform),
    join(folder, 'node_modules', '@ffprobe-installer', platform),
    process.env.PATH,
  ].join(delimiter);
}

/** Generated code, compiled code and the console; each step does nothing when its inputs are unchanged. */
async function build(node) {
  must('Generating code from proto/', node, ['tools/generate.mjs']);
  // The console needs nothing of what is compiled, and each takes one core.
  const vite = existsSync(join('web', 'index.html')) && spawn(node, ['tools/build-console.mjs'], { stdio: ['ignore', 2, 2] });
  const built = vite && once(vite, 'exit');
  must('Compiling', node, [join('node_modules', 'typescript', 'bin', 'tsc'), '-b']);
  if (vite && (await built)[0] !== 0) {
    say('Building the console failed.');
    process.exit(1);
  }
}

const commands = {
  build: () => 0,
  demo: (node) => run(node, ['tools/demo/main.ts', ...args], { stdio: 'inherit' }),
  test: (node) => run(node, ['tools/test/main.ts', ...args], { stdio: 'inherit' }),
  'fetch:stack': (node) => run(node, ['tools/stack/fetch.ts']),
  'test:stack': (node) => run(node, ['tools/test/main.ts', '--stack', ...args], { stdio: 'inherit' }),
  chaos: (node) => run(node, ['tools/chaos/main.ts', ...args], { stdio: 'inherit' }),
  bench: (node) => run(node, ['tools/bench/main.ts', ...args], { stdio: 'inherit' }),
  docs: (node) => {
    const statuses = ['names', 'pack-schema', 'kong'].map((page) => run(node, [`tools/docs/${page}.ts`, ...args], { stdio: 'inherit' }));
    return Math.max(...statuses);
  },
  lint: (node) => run(node, [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'check', ...args], { stdio: 'inherit' }),
  format: (node) =>
    run(node, [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'check', '--write', ...args], { stdio: 'inherit' }),
};

if (!(command in commands)) {
  say(`Usage: node tools/bootstrap.mjs ${Object.keys(commands).join(' | ')}`);
  process.exit(2);
}
installPackages();
const node = useLockedNode();
if (!['lint', 'format', 'fetch:stack'].includes(command)) {
  findFfmpeg();
  await build(node);
}
process.exit(commands[command](node));

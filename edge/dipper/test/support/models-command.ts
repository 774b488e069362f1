/** `dipper models` as an operator meets it: the compiled command in processes of its own. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TinyPack, tinyPack, writeTinyPack } from '../../../mizar/test/support/tiny-pack';
import type { PackList } from '../../src/models/list-packs';

const root = join(__dirname, '..', '..', '..', '..');
const main = join(root, 'edge', 'dipper', 'dist', 'main.js');
/** Of the repository; its id is demo.2. */
export const demoPack = join(root, 'edge', 'mizar', 'packs', 'demo');

/** The processes run what is compiled; an unchanged build takes seconds. */
export function buildDipper(): void {
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-b', join(root, 'edge', 'dipper')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function eventually<T>(what: string, read: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (const until = Date.now() + 60_000; ; ) {
    const value = await read();
    if (value !== undefined && value !== false) return value as T;
    if (Date.now() > until) throw new Error(`Did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A box's data folder in a scratch folder, and whoever was started for it. */
export class TestBox {
  readonly folder = mkdtempSync(join(tmpdir(), 'models-'));
  readonly dataDir = join(this.folder, 'data');
  readonly packs = join(this.dataDir, 'packs');
  private readonly children: ChildProcess[] = [];

  async close(): Promise<void> {
    for (const child of this.children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  dipper(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return new Promise((resolve) => {
      const options = { env: { ...process.env, ...env } };
      execFile(process.execPath, [main, ...args, '--data', this.dataDir], options, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  models(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return this.dipper(['models', ...args], env);
  }

  /** A process that is left running. */
  start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(process.execPath, [main, ...args, '--data', this.dataDir], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
    this.children.push(child);
    return child;
  }

  async list(): Promise<PackList> {
    return JSON.parse((await this.models(['list', '--json'])).stdout) as PackList;
  }

  async ids(): Promise<string[]> {
    return (await this.list()).packs.map(({ id }) => id);
  }

  /** Below `packs/`, with what is hidden. */
  inPacks(): string[] {
    return existsSync(this.packs) ? readdirSync(this.packs).sort() : [];
  }

  /** A pack's folder that is not installed. */
  made(id: string, change?: (pack: TinyPack) => unknown): string {
    const pack = tinyPack(id);
    change?.(pack);
    const at = mkdtempSync(join(this.folder, 'made-'));
    writeTinyPack(at, pack);
    return at;
  }

  archived(from: string): string {
    const path = join(mkdtempSync(join(this.folder, 'archived-')), 'pack.tar.gz');
    execFileSync('tar', ['czf', path, '-C', from, '.']);
    return path;
  }

  async install(...ids: string[]): Promise<void> {
    for (const id of ids) expect(await this.models(['add', this.made(id)])).toMatchObject({ status: 0 });
  }
}

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CheckOptions, packFolder } from '@dipper/mizar';
import { AgentError, isDiskFull, lockAgent } from '@dipper/platform';
import { type CatalogueEntry, type CatalogueFile, catalogue as ownCatalogue } from './catalogue';
import { type DownloadSettings, download, forget, sha256Of, usualSettings } from './download';
import { modelsErrors } from './models.errors';
import { makePacksFolder, type Placed, placePack } from './place-pack';
import type { Progress } from './progress';
import { unpackArchive, usualLimits } from './unpack-archive';

export interface AddPack {
  readonly dataDir: string;
  /** A name of the catalogue, an http or https address of a .tar.gz, or the path of one or of a folder. */
  readonly source: string;
  /** Of the archive. */
  readonly sha256?: string;
  readonly acceptNonCommercial?: boolean;
  readonly progress: Progress;
  readonly catalogue?: readonly CatalogueEntry[];
  readonly settings?: () => DownloadSettings;
  readonly check?: CheckOptions;
}

const DOWNLOADS = '.downloads';
const KEPT_DAYS = 7;

/**
 * Installs a pack. Killed anywhere, it leaves the installed packs as they were; what a download brought is kept for the
 * next time. Throws Mizar's `pack.*`, and the codes of models.errors.ts.
 */
export async function addPack(wanted: AddPack): Promise<Placed> {
  const { dataDir, sha256 } = wanted;
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) throw modelsErrors.sourceInvalid('sha256');
  const packs = makePacksFolder(dataDir);
  const unlock = await lockAgent(dataDir, 'models-add', 0).catch((error: unknown) => {
    throw error instanceof AgentError ? modelsErrors.busy(error.params.pid) : error;
  });
  try {
    removeLeftovers(packs);
    return await fromSource(wanted, packs);
  } catch (error) {
    throw isDiskFull(error) ? modelsErrors.diskFull(error) : error;
  } finally {
    // A refused pack leaves nothing, and neither does a full disk.
    removeLeftovers(packs);
    unlock();
    wanted.progress.end();
  }
}

async function fromSource(wanted: AddPack, packs: string): Promise<Placed> {
  const { source, sha256, catalogue = ownCatalogue } = wanted;
  const entry = catalogue.find(({ name }) => name === source);
  if (entry) return fromCatalogue(wanted, packs, entry);
  if (/^https?:\/\//i.test(source)) return fromAddress(wanted, packs);
  const found = statSync(source, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    if (sha256 !== undefined) throw modelsErrors.sourceInvalid('sha256_of_folder');
    return place(wanted, source);
  }
  if (!found?.isFile()) throw modelsErrors.sourceInvalid('not_found');
  if (sha256 !== undefined) {
    const bytes = await sha256Of(source);
    if (bytes !== sha256) throw modelsErrors.hashMismatch(sha256, bytes);
  }
  return fromArchive(wanted, packs, source);
}

async function fromCatalogue(wanted: AddPack, packs: string, { spec, ...files }: CatalogueEntry): Promise<Placed> {
  // Before a byte is fetched.
  allow(wanted)(spec);
  const folder = scratch(packs);
  writeFileSync(join(folder, 'pack.json'), JSON.stringify(spec));
  if (existsSync(packFolder(wanted.dataDir, spec.id))) return place(wanted, folder);
  const parts: [path: string, file: string][] = [];
  for (const part of ['detector', 'embedder'] as const) {
    const { url, bytes }: CatalogueFile = files[part];
    const { file: what, sha256 } = spec[part];
    const path = partPath(packs, url);
    await download({ url, path, maxBytes: bytes, sha256, what }, wanted.progress, (wanted.settings ?? usualSettings)());
    parts.push([path, what]);
  }
  for (const [path, file] of parts) {
    renameSync(path, join(folder, file));
    forget(path);
  }
  return place(wanted, folder);
}

async function fromAddress(wanted: AddPack, packs: string): Promise<Placed> {
  const url = wanted.source;
  const path = partPath(packs, url);
  const file = { url, path, maxBytes: usualLimits.totalBytes, what: 'pack', ...(wanted.sha256 ? { sha256: wanted.sha256 } : {}) };
  await download(file, wanted.progress, (wanted.settings ?? usualSettings)());
  try {
    return await fromArchive(wanted, packs, path);
  } finally {
    // Installed, or not worth keeping.
    forget(path);
  }
}

async function fromArchive(wanted: AddPack, packs: string, archive: string): Promise<Placed> {
  const folder = scratch(packs);
  wanted.progress.step('unpacking');
  await unpackArchive(archive, folder);
  const inside = readdirSync(folder).filter((name) => lstatSync(join(folder, name)).isDirectory());
  const only = !existsSync(join(folder, 'pack.json')) && inside.length === 1 ? inside[0] : undefined;
  return place(wanted, only === undefined ? folder : join(folder, only));
}

function place(wanted: AddPack, folder: string): Promise<Placed> {
  wanted.progress.step('checking hashes and models');
  return placePack(wanted.dataDir, folder, allow(wanted), wanted.check ?? {});
}

const allow =
  ({ acceptNonCommercial }: AddPack) =>
  (spec: Placed['spec']): void => {
    if (spec.nonCommercial && !acceptNonCommercial) throw modelsErrors.licenceNotAccepted(spec.id, spec.licence);
  };

function scratch(packs: string): string {
  const folder = join(packs, `.unpacked-${process.pid}-${Date.now()}`);
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

function partPath(packs: string, url: string): string {
  mkdirSync(join(packs, DOWNLOADS), { recursive: true, mode: 0o700 });
  return join(packs, DOWNLOADS, `${createHash('sha256').update(url).digest('hex').slice(0, 32)}.part`);
}

/** Of processes that were killed: only one adds packs at a time. */
function removeLeftovers(packs: string): void {
  for (const name of readdirSync(packs)) {
    if (/^\.(adding|unpacked|removing)-/.test(name)) rmSync(join(packs, name), { recursive: true, force: true });
  }
  const oldest = Date.now() - KEPT_DAYS * 86_400_000;
  const downloads = join(packs, DOWNLOADS);
  for (const name of existsSync(downloads) ? readdirSync(downloads) : []) {
    const path = join(downloads, name);
    if ((statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < oldest) rmSync(path, { force: true });
  }
}

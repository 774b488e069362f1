import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type PackInUse, type PackSpec, packFolder, packsFolder, readPackInUse, readPackSpec } from '@dipper/mizar';
import { AgentError } from '@dipper/platform';
import { bytesOf, catalogue } from './catalogue';
import { megabytes } from './progress';

/** A pack that is named by MIZAR_PACK or the box's settings, and so used whatever is chosen here. */
export interface PinnedPack {
  readonly by: string;
  readonly folder: string;
}

export interface ListedPack {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly nonCommercial: boolean;
  readonly bytes: number;
  readonly inUse: boolean;
  readonly previous: boolean;
  /** Why Mizar, or this list, does not take it. */
  readonly problem?: { readonly code: string; readonly params: Readonly<Record<string, unknown>> };
}

export interface PackList {
  readonly packs: readonly ListedPack[];
  readonly catalogue: readonly {
    readonly name: string;
    readonly id: string;
    readonly licence: string;
    readonly nonCommercial: boolean;
    readonly bytes: number;
    readonly installed: boolean;
  }[];
  readonly inUse: string | null;
  readonly pinned: PinnedPack | null;
}

/** What is installed, by its own word: hashes and models are looked at by `verify`. */
export async function listPacks(dataDir: string, pinned?: PinnedPack): Promise<PackList> {
  const inUse = inUseOrNone(dataDir);
  const packs = await Promise.all(installedIds(dataDir).map((id) => describe(dataDir, id, inUse)));
  return {
    packs,
    catalogue: catalogue.map((entry) => ({
      name: entry.name,
      id: entry.spec.id,
      licence: entry.spec.licence,
      nonCommercial: entry.spec.nonCommercial ?? false,
      bytes: bytesOf(entry),
      installed: packs.some(({ id }) => id === entry.spec.id),
    })),
    inUse: inUse?.id ?? null,
    pinned: pinned ?? null,
  };
}

/** Names that packs have; what is being added or removed has another. */
export function installedIds(dataDir: string): string[] {
  try {
    return readdirSync(packsFolder(dataDir), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && isId(dataDir, entry.name))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isId(dataDir: string, name: string): boolean {
  try {
    packFolder(dataDir, name);
    return true;
  } catch {
    return false;
  }
}

/** A choice that cannot be read is Mizar's to complain of. */
export function inUseOrNone(dataDir: string): PackInUse | undefined {
  try {
    return readPackInUse(dataDir);
  } catch {
    return undefined;
  }
}

async function describe(dataDir: string, id: string, inUse: PackInUse | undefined): Promise<ListedPack> {
  const folder = packFolder(dataDir, id);
  const state = { inUse: inUse?.id === id, previous: inUse?.previous === id };
  const refused = inUse?.refused?.id === id ? { problem: { code: inUse.refused.code, params: inUse.refused.params } } : {};
  try {
    const spec = await readPackSpec(folder);
    if (spec.id !== id) throw new AgentError('pack.invalid', 'unprocessable', { field: 'id' });
    const { name, version, licence, nonCommercial = false } = spec;
    return { id, name, version, licence, nonCommercial, bytes: sizeOf(folder, spec), ...state, ...refused };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const problem = { code: error.code, params: error.params };
    return { id, name: '', version: '', licence: '', nonCommercial: false, bytes: 0, ...state, problem };
  }
}

const sizeOf = (folder: string, { detector, embedder }: PackSpec): number =>
  [detector, embedder].reduce((sum, { file }) => sum + (statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0), 0);

/** For people. */
export function packTable({ packs, catalogue: entries, pinned }: PackList): string {
  const stateOf = (pack: ListedPack): string =>
    [
      pack.inUse ? 'in use' : pack.previous ? 'previous' : '',
      pack.nonCommercial ? 'non-commercial' : '',
      pack.problem ? `${pack.problem.code} ${JSON.stringify(pack.problem.params)}` : '',
    ]
      .filter(Boolean)
      .join(', ') || '-';
  const installed = packs.map((pack) => [pack.id, pack.name || '-', megabytes(pack.bytes), stateOf(pack), pack.licence || '-']);
  const more = entries
    .filter((entry) => !entry.installed)
    .map((entry) => [entry.name, entry.id, megabytes(entry.bytes), entry.nonCommercial ? 'non-commercial' : '-', entry.licence]);
  const parts = [
    installed.length > 0 ? columns([['ID', 'NAME', 'SIZE', 'STATE', 'LICENCE'], ...installed]) : 'No pack is installed.',
    more.length > 0
      ? `\nTo be had with \`dipper models add <name>\`:\n${columns([['NAME', 'ID', 'SIZE', 'STATE', 'LICENCE'], ...more])}`
      : '',
    pinned ? `\n${pinned.by} names ${pinned.folder}: that pack is used, whatever is chosen here.` : '',
  ];
  return parts.filter(Boolean).join('\n');
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

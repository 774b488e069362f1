/** What is left of a folder when the power goes after some of its recorded calls. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Call } from './recorded-writes';

type Change = Extract<Call, { does: 'write' | 'truncate' }>;

/**
 * `nothing` that was not synced survives; or `some` does: each sector and each change of a folder by the toss of a coin,
 * whatever their order was; or `all` of it, as after a mere crash of the program.
 */
export type Luck = 'nothing' | 'some' | 'all';

const sectorBytes = 512;

/** Changes in their order, of which a sync makes those durable that were there when it began. */
class Pending<T> {
  private list: { readonly n: number; readonly item: T }[] = [];
  private next = 0;

  add(item: T): void {
    this.list.push({ n: this.next++, item });
  }

  /** To be handed to `takeUntil` when the sync that begins now returns. */
  mark(): number {
    return this.next;
  }

  takeUntil(mark: number): T[] {
    const taken = this.list.filter(({ n }) => n < mark);
    this.list = this.list.filter(({ n }) => n >= mark);
    return taken.map(({ item }) => item);
  }

  all(): T[] {
    return this.list.map(({ item }) => item);
  }
}

class RecordedFile {
  /** What the platter surely holds. */
  readonly durable = new Content();
  readonly pending = new Pending<Change>();
  /** Where the next write goes that does not say where. */
  position = 0;
}

class RecordedFolder {
  /** One entry or, for a rename, two that change together; undefined is its absence. */
  readonly pending = new Pending<ReadonlyMap<string, Node | undefined>>();
}

type Node = RecordedFile | RecordedFolder;

/**
 * A disk that goes through recorded calls and can be asked, anywhere on the way, what a power cut would leave. The model
 * is what POSIX promises, which is less than what ext4 does:
 * - A returned sync of a file makes durable its content and size as they were when the sync began, and nothing else.
 * - That a name is in a folder, or no longer, or now means another file, is durable after a sync of that folder. So a
 *   synced file may be missing, and so may all that is in a folder whose own name was not synced in the one above.
 * - Whatever else was changed may have reached the platter or not, sector by sector (512 bytes, written whole or not at
 *   all) and name by name, in any order; where later sectors got there and earlier ones did not, there are zeros.
 * Not modelled: a call that is under way at the cut (the same cut just after it, with `some` luck, leaves as much), disks
 * that lie about syncing or rot, names moved between folders (refused), and SQLite's `-shm`: it is mapped memory, which
 * SQLite makes anew from the log, so no cut leaves it.
 */
export class RecordedDisk {
  private done = 0;
  private readonly root = new RecordedFolder();
  /** As the program sees it. */
  private readonly seen = new Map<string, Node>([['', this.root]]);
  /** What surely has its name after a cut. */
  private readonly durable = new Map<string, Node>();
  private readonly syncing = new Map<number, { readonly path: string; readonly node: Node; readonly mark: number }>();

  constructor(private readonly calls: readonly Call[]) {}

  /** Carries out the calls up to the given one; only forwards. */
  advanceTo(count: number): void {
    for (; this.done < count; this.done++) this.apply(this.calls[this.done] as Call);
  }

  /** Makes `folder` and writes into it what is left when the power goes now. */
  cutPower(folder: string, luck: Luck, random: () => number): void {
    const kept = () => luck === 'all' || (luck === 'some' && random() < 0.5);
    const names = new Map(this.durable);
    for (const node of new Set([...this.seen.values(), ...this.durable.values()])) {
      if (!(node instanceof RecordedFolder)) continue;
      for (const change of node.pending.all()) if (kept()) rename(names, change);
    }
    mkdirSync(folder, { recursive: true });
    // Folders come before what is in them.
    for (const [path, node] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const above = parent(path);
      if (path.endsWith('-shm') || (above !== '' && !names.has(above))) {
        names.delete(path);
        continue;
      }
      if (node instanceof RecordedFolder) mkdirSync(join(folder, path));
      else writeFileSync(join(folder, path), contentAfter(node, luck, kept));
    }
  }

  private apply(call: Call): void {
    switch (call.does) {
      case 'create':
        if (!this.seen.has(call.path)) this.enter(new Map([[call.path, new RecordedFile()]]));
        break;
      case 'mkdir':
        this.enter(new Map([[call.path, new RecordedFolder()]]));
        break;
      case 'unlink':
        this.enter(new Map([[call.path, undefined]]));
        break;
      case 'rename': {
        if (parent(call.path) !== parent(call.to)) throw new Error(`${call.path} is moved to another folder: not modelled`);
        const moved = this.seen.get(call.path);
        if (!moved) throw new Error(`${call.path} is not recorded`);
        this.enter(new Map<string, Node | undefined>().set(call.path, undefined).set(call.to, moved));
        break;
      }
      case 'write': {
        const file = this.fileAt(call.path);
        const at = Number.isNaN(call.at) ? file.position : call.at;
        file.position = at + call.bytes.length;
        file.pending.add({ ...call, at });
        break;
      }
      case 'truncate': {
        const file = this.fileAt(call.path);
        if (call.size === 0) file.position = 0;
        file.pending.add(call);
        break;
      }
      case 'syncing': {
        const node = this.seen.get(call.path);
        if (node) this.syncing.set(call.by, { path: call.path, node, mark: node.pending.mark() });
        break;
      }
      case 'synced': {
        const { node, mark } = this.syncing.get(call.by) ?? {};
        if (node instanceof RecordedFile) for (const change of node.pending.takeUntil(mark ?? 0)) node.durable.take(change);
        if (node instanceof RecordedFolder) for (const change of node.pending.takeUntil(mark ?? 0)) rename(this.durable, change);
        this.syncing.delete(call.by);
        break;
      }
      case 'say':
    }
  }

  private enter(change: ReadonlyMap<string, Node | undefined>): void {
    const [path = ''] = change.keys();
    const above = this.seen.get(parent(path));
    if (!(above instanceof RecordedFolder)) throw new Error(`${path} is in no recorded folder`);
    above.pending.add(change);
    rename(this.seen, change);
  }

  private fileAt(path: string): RecordedFile {
    const node = this.seen.get(path);
    if (!(node instanceof RecordedFile)) throw new Error(`${path} is no recorded file`);
    return node;
  }
}

const parent = (path: string): string => (dirname(path) === '.' ? '' : dirname(path));

function rename(names: Map<string, Node>, change: ReadonlyMap<string, Node | undefined>): void {
  const [[from, gone] = [], [to, moved] = []] = change;
  if (from !== undefined && to !== undefined && gone === undefined && moved instanceof RecordedFolder) {
    // What is in a folder goes where it goes.
    for (const [path, node] of [...names].filter(([each]) => each.startsWith(`${from}/`))) {
      names.delete(path);
      names.set(`${to}${path.slice(from.length)}`, node);
    }
  }
  for (const [path, node] of change) {
    if (node) names.set(path, node);
    else names.delete(path);
  }
}

function contentAfter(file: RecordedFile, luck: Luck, kept: () => boolean): Buffer {
  const content = file.durable.copy();
  for (const change of file.pending.all()) {
    if (luck === 'nothing') break;
    const pieces = luck === 'some' && change.does === 'write' ? sectorsOf(change) : [change];
    for (const piece of pieces) if (kept()) content.take(piece);
  }
  return content.bytes();
}

function sectorsOf(write: Extract<Call, { does: 'write' }>): Change[] {
  const pieces: Change[] = [];
  for (let done = 0; done < write.bytes.length; ) {
    const at = write.at + done;
    const end = Math.min(write.bytes.length, done + sectorBytes - (at % sectorBytes));
    pieces.push({ ...write, at, bytes: write.bytes.subarray(done, end) });
    done = end;
  }
  return pieces;
}

/** The bytes of a file, changed in place. */
class Content {
  constructor(
    private space: Buffer = Buffer.alloc(4096),
    private size = 0,
  ) {}

  take(change: Change): void {
    if (change.does === 'truncate') {
      this.resize(change.size);
      return;
    }
    if (change.bytes.length > 0) this.resize(Math.max(this.size, change.at + change.bytes.length));
    change.bytes.copy(this.space, change.at);
  }

  bytes(): Buffer {
    return this.space.subarray(0, this.size);
  }

  copy(): Content {
    return new Content(Buffer.from(this.bytes()), this.size);
  }

  private resize(size: number): void {
    if (size > this.space.length) this.space = Buffer.concat([this.space.subarray(0, this.size)], Math.max(size, 2 * this.space.length));
    else if (size < this.size) this.space.fill(0, size, this.size);
    this.size = size;
  }
}

export interface Cut {
  /** After how many calls. */
  readonly count: number;
  readonly luck: Luck;
  /** What the program had said by then, line by line. */
  readonly said: readonly string[];
}

/**
 * Cuts spread over the whole record, from its beginning to its end, with luck of every kind. Every second one comes right
 * behind something that the program said, which is when a promise is most likely to be empty.
 */
export function sampleCuts(calls: readonly Call[], howMany: number, random: () => number): Cut[] {
  const lucks: Luck[] = ['nothing', 'nothing', 'some', 'some', 'all', 'some'];
  const promises = calls.flatMap((call, i) => (call.does === 'say' ? [i + 1] : []));
  const chosen = Array.from({ length: howMany }, (_, i) => {
    const share = (i + random()) / howMany;
    const count = i % 2 === 0 ? Math.floor(share * (calls.length + 1)) : (promises[Math.floor(share * promises.length)] ?? 0);
    return { count, luck: lucks[i % lucks.length] as Luck };
  }).sort((a, b) => a.count - b.count);
  let said = '';
  let read = 0;
  return chosen.map((cut) => {
    for (; read < cut.count; read++) {
      const call = calls[read] as Call;
      if (call.does === 'say') said += call.text;
    }
    return { ...cut, said: said.split('\n').slice(0, -1) };
  });
}

/** mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Of a run: the seed is SEED or the time, and POWER_CUTS times as many cuts are tried as usual. */
export const cutSeed = Number(process.env.SEED ?? Date.now() % 1_000_000);
export const cutsFor = (usual: number): number => Math.round(usual * Number(process.env.POWER_CUTS ?? 1));

/**
 * Reopens what each of the sampled cuts leaves, in a folder below `scratch`, and says in a failure which cut it was. The
 * same SEED gives the same cuts of the same record; threads may make a record another one.
 */
export async function afterEachCut(
  calls: readonly Call[],
  scratch: string,
  howMany: number,
  check: (folder: string, cut: Cut) => void | Promise<void>,
): Promise<void> {
  const random = seeded(cutSeed);
  const disk = new RecordedDisk(calls);
  for (const [i, cut] of sampleCuts(calls, cutsFor(howMany), random).entries()) {
    const folder = join(scratch, `cut-${i}`);
    disk.advanceTo(cut.count);
    disk.cutPower(folder, cut.luck, random);
    try {
      await check(folder, cut);
    } catch (error) {
      const where = `SEED=${cutSeed}, cut ${i} after call ${cut.count} of ${calls.length}, luck: ${cut.luck}, last said: ${cut.said.at(-1)}`;
      throw new Error(`${where}\n${error instanceof Error ? error.message : error}`, { cause: error });
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

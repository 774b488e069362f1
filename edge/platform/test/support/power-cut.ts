/** What is left of a folder when the power goes after some of its recorded calls. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Call } from './recorded-writes';

type Change = Extract<Call, { does: 'write' | 'truncate' }>;

/**
 * `nothing` that was not synced survives; or `some` does: each change by the toss of a coin and in any order, the last
 * one perhaps only in its first sectors; or `all` of it, as after a mere crash of the program.
 */
export type Luck = 'nothing' | 'some' | 'all';

const sector = 512;

/**
 * A disk that goes through recorded calls and can be asked, anywhere on the way, what a power cut would leave. The model:
 * a sync of a file makes its content and size durable, and nothing else; the entry of a new file, and the absence of an
 * unlinked one, become durable with a sync of its directory; sectors are 512 bytes and written whole. Folders count as
 * durable when they are made. Not modelled: renames, and SQLite's `-shm`, which is shared memory and gone after any cut.
 */
export class RecordedDisk {
  private done = 0;
  private readonly folders = new Set<string>();
  /** What the platter surely holds of each file. */
  private readonly synced = new Map<string, Content>();
  /** Changes since the last sync of each file. */
  private readonly unsynced = new Map<string, Change[]>();
  /** Files whose directory was synced after they were made. */
  private readonly entered = new Set<string>();
  /** Files that were unlinked, and whose directory was not synced since. */
  private readonly leaving = new Map<string, Content>();

  constructor(private readonly calls: readonly Call[]) {}

  /** Carries out the calls up to the given one; only forwards. */
  advanceTo(count: number): void {
    for (; this.done < count; this.done++) this.apply(this.calls[this.done] as Call);
  }

  /** Writes into `folder` what is left when the power goes now. */
  cutPower(folder: string, luck: Luck, random: () => number): void {
    const kept = () => luck === 'all' || (luck === 'some' && random() < 0.5);
    for (const path of ['', ...this.folders]) mkdirSync(join(folder, path), { recursive: true });
    for (const [path, synced] of this.synced) {
      if (path.endsWith('-shm') || !(this.entered.has(path) || kept())) continue;
      const content = synced.copy();
      const changes = this.unsynced.get(path) ?? [];
      for (const [i, change] of changes.entries()) {
        if (kept()) content.take(luck === 'some' && i === changes.length - 1 ? torn(change, random) : change);
      }
      writeFileSync(join(folder, path), content.bytes());
    }
    for (const [path, content] of this.leaving) {
      if (!this.synced.has(path) && luck !== 'all' && !kept()) writeFileSync(join(folder, path), content.bytes());
    }
  }

  private apply(call: Call): void {
    const { synced, unsynced, entered, leaving } = this;
    if (call.does === 'mkdir') this.folders.add(call.path);
    if (call.does === 'create' && !synced.has(call.path)) {
      synced.set(call.path, new Content());
      entered.delete(call.path);
    }
    if (call.does === 'write' || call.does === 'truncate') {
      const changes = unsynced.get(call.path);
      if (changes) changes.push(call);
      else unsynced.set(call.path, [call]);
    }
    if (call.does === 'sync' && synced.has(call.path)) {
      for (const change of unsynced.get(call.path) ?? []) synced.get(call.path)?.take(change);
      unsynced.delete(call.path);
    } else if (call.does === 'sync') {
      for (const path of synced.keys()) if (parent(path) === call.path) entered.add(path);
      for (const path of leaving.keys()) if (parent(path) === call.path) leaving.delete(path);
    }
    if (call.does === 'unlink') {
      const content = synced.get(call.path);
      if (content && entered.has(call.path)) leaving.set(call.path, content);
      for (const part of [synced, unsynced, entered]) part.delete(call.path);
    }
  }
}

const parent = (path: string): string => (dirname(path) === '.' ? '' : dirname(path));

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
    if (size > this.space.length) this.space = Buffer.concat([this.space], Math.max(size, 2 * this.space.length));
    else if (size < this.size) this.space.fill(0, size, this.size);
    this.size = size;
  }
}

function torn(change: Change, random: () => number): Change {
  if (change.does === 'truncate') return change;
  const sectors = Math.floor((random() * change.bytes.length) / sector);
  return { ...change, bytes: change.bytes.subarray(0, sectors * sector) };
}

export interface Cut {
  readonly count: number;
  readonly luck: Luck;
  /** What the program had said by then, line by line. */
  readonly said: readonly string[];
}

/** Cuts spread over the whole record, from its beginning to its end, with luck of every kind. */
export function sampleCuts(calls: readonly Call[], howMany: number, random: () => number): Cut[] {
  const lucks: Luck[] = ['nothing', 'some', 'some', 'all'];
  let said = '';
  let read = 0;
  return Array.from({ length: howMany }, (_, i) => {
    const count = Math.floor(((i + random()) / howMany) * (calls.length + 1));
    for (; read < count; read++) {
      const call = calls[read] as Call;
      if (call.does === 'say') said += call.text;
    }
    return { count, luck: lucks[i % lucks.length] as Luck, said: said.split('\n').slice(0, -1) };
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

import { mkdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import { AppError, type Objects } from '@star/platform';
import { mizar } from '@stardipper/proto';
import type { Logger } from 'pino';
import { installedPack, installPack, removeOldest } from './installed-packs';
import { type KeptChild, keepChild } from './kept-child';
import { packsErrors } from './packs.errors';

/** A package of software that a pack is in. */
export interface PackArchive {
  readonly tenantId: string;
  readonly packageId: string;
  readonly sha256: string;
}

export interface PackPoolOptions {
  /** Installed packs are kept here, each in a folder named by its archive's hash. */
  readonly folder: string;
  readonly objects: Pick<Objects, 'get'>;
  /** Mizar's main script; without it, or without the next, no pack can be opened. */
  readonly mizarProgram: string | undefined;
  /** Main script of the `dipper` command, which checks and installs packs. */
  readonly modelsProgram: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly maxMizars: number;
  readonly maxInstalled: number;
  readonly log: Logger;
  /** 60 s unless told. */
  readonly heldMs?: number;
  /** After so long, five minutes unless told, a Mizar in constant use makes room for a pack that has none. */
  readonly turnMs?: number;
}

export interface OpenedPack {
  readonly address: string;
  readonly heldMs: number;
}

export interface PackPool {
  /** Rejects with an AppError; trying again may help where its kind says so. */
  open(archive: PackArchive): Promise<OpenedPack>;
  /** Of the Mizars that run now, by name. */
  pids(): Record<string, number>;
  stop(): Promise<void>;
}

interface Place {
  readonly startedAt: number;
  usedAt: number;
  readonly ready: Promise<KeptChild>;
  child: KeptChild | undefined;
}

/** Who waits longer than this is told to come again. */
const answerWithinMs = 10_000;
const probeWithinMs = 10_000;

/**
 * The Mizars for assigned packs: one for each archive somebody asks for, started then and started again when it ends. At
 * most `maxMizars`, of which the one not asked for the longest makes room, though none that was asked for within `heldMs`.
 * Where all are asked for all the time, they take turns: the one that began first is refused until it has made room.
 * Packs go by the hash of their archive and not by the id they give themselves: nobody gets into another one's.
 */
export function createPackPool(options: PackPoolOptions): PackPool {
  const { folder, env, maxMizars, maxInstalled, log, heldMs = 60_000, turnMs = 300_000 } = options;
  const places = new Map<string, Place>();
  /** Those there was no room for, and when they asked last. */
  const waiting = new Map<string, number>();
  const stopping = new AbortController();

  const start = async (archive: PackArchive): Promise<KeptChild> => {
    const { mizarProgram, modelsProgram } = options;
    if (!mizarProgram || !modelsProgram) throw packsErrors.error('packs.not_supported');
    const { signal } = stopping;
    const home = join(folder, homeOf(archive.sha256));
    for (;;) {
      signal.throwIfAborted();
      const known = await installedPack(home);
      if (known === undefined) await mkdir(home, { recursive: true, mode: 0o700 });
      const pack = known ?? (await installPack({ ...options, ...archive, modelsProgram, home, signal }));
      await utimes(home, new Date(), new Date());
      const child = await keepChild(
        { name: nameOf(archive.sha256), script: mizarProgram, env: { ...env, DIPPER_DATA: home, MIZAR_PACK: pack, MIZAR_THREADS: '1' } },
        log,
      );
      if (await looks(addressOf(child))) return child;
      await child.stop();
      if (known === undefined) throw packsErrors.error('packs.start_failed');
      // Its files are no longer what they were when they were checked.
      log.warn({ pack: archive.sha256 }, 'an installed pack cannot be used any more; it is installed again');
      await rm(home, { recursive: true, force: true });
    }
  };

  /** Resolves when there is room; throws at once when nobody can go. */
  const makeRoom = (sha256: string): Promise<unknown> => {
    if (places.size < maxMizars) return Promise.resolve();
    const now = performance.now();
    const idle = [...places].filter(([, { child, usedAt }]) => child && now - usedAt >= heldMs);
    const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (!oldest) {
      waiting.set(sha256, now);
      throw packsErrors.error('packs.no_room', { max: maxMizars });
    }
    places.delete(oldest[0]);
    log.info({ pack: oldest[0] }, 'ended, to make room for another pack');
    return Promise.resolve(oldest[1].child?.stop());
  };

  /** Whether this one has had its turn and is the first to go. */
  const mustGo = (place: Place): boolean => {
    const now = performance.now();
    for (const [sha256, askedAt] of waiting) if (now - askedAt > heldMs) waiting.delete(sha256);
    const first = [...places.values()].reduce((a, b) => (b.startedAt < a.startedAt ? b : a));
    return waiting.size > 0 && place === first && now - place.startedAt > turnMs;
  };

  const take = (archive: PackArchive): Place => {
    const { sha256 } = archive;
    const ready = makeRoom(sha256).then(() => start(archive));
    waiting.delete(sha256);
    // There before anything is waited for, so that two askers start one Mizar.
    const place: Place = { startedAt: performance.now(), usedAt: performance.now(), ready, child: undefined };
    places.set(sha256, place);
    const started = async (child: KeptChild) => {
      place.child = child;
      await removeOldest(folder, maxInstalled, new Set([...places.keys()].map(homeOf)));
    };
    const failed = (error: unknown) => {
      if (places.get(sha256) === place) places.delete(sha256);
      log.warn({ err: error, ...archive }, 'a pack could not be opened');
    };
    ready.then(started, failed).catch((error: unknown) => log.warn({ err: error }, 'packs nobody needs could not be removed'));
    return place;
  };

  return {
    open: async (archive) => {
      if (!/^[0-9a-f]{64}$/.test(archive.sha256)) throw packsErrors.error('pack.archive_invalid', { reason: 'sha256' });
      const there = places.get(archive.sha256);
      if (there && mustGo(there)) throw packsErrors.error('packs.no_room', { max: maxMizars });
      const place = there ?? take(archive);
      place.usedAt = performance.now();
      try {
        const child = await Promise.race([place.ready, sleep(answerWithinMs, undefined, { ref: false })]);
        if (!child) throw packsErrors.error('packs.preparing');
        return { address: addressOf(child), heldMs };
      } catch (error) {
        // A full disk, a program that is not there: it is in the log.
        throw error instanceof AppError ? error : packsErrors.error('packs.start_failed', {}, error);
      }
    },
    pids: () =>
      Object.fromEntries([...places].flatMap(([sha256, { child }]) => (child?.pid() ? [[nameOf(sha256), child.pid() as number]] : []))),
    stop: async () => {
      stopping.abort();
      const all = [...places.values()];
      places.clear();
      await Promise.all(all.map(({ ready }) => ready.then((child) => child.stop()).catch(() => undefined)));
    },
  };
}

/** Half of it is as good as all, and a socket's path may have 107 bytes. */
export const homeOf = (sha256: string): string => sha256.slice(0, 32);
const nameOf = (sha256: string): string => `mizar-${sha256.slice(0, 8)}`;
const addressOf = (child: KeptChild): string => `unix:${String(child.ready().socket)}`;

/** Whether the Mizar there has its pack open: one that could not open it still runs, to say so. */
async function looks(address: string): Promise<boolean> {
  const client = new mizar.MizarServiceClient(address, credentials.createInsecure());
  try {
    return await new Promise((resolve) => {
      client.getPack({}, new Metadata(), { deadline: Date.now() + probeWithinMs }, (error) => resolve(error === null));
    });
  } finally {
    client.close();
  }
}

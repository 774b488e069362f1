import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineErrors } from '../errors/app-error';
import type { Database, Tx } from './database';

export const leaseErrors = defineErrors({ 'lease.lost': 'conflict', 'lease.taken': 'conflict' });

/** Work under a lease. `fence` grows with every holder; stop when `signal` aborts: the lease is lost or no longer wanted. */
export type LeasedWork<T> = (fence: number, signal: AbortSignal) => Promise<T>;

export interface Leases {
  /**
   * Waits for the lease, runs `work`, releases it. Renewed every third of `ttlMs`; when a renewal is refused or the
   * database cannot be reached for `ttlMs`, the work's signal aborts and, once the work has settled, this rejects with
   * `lease.lost`. `signal` ends the waiting and the work. Rejects with what `work` rejects with.
   */
  withLease<T>(name: string, ttlMs: number, work: LeasedWork<T>, signal?: AbortSignal): Promise<T>;
  /** The same without waiting: undefined at once when another holds it. */
  tryLease<T>(name: string, ttlMs: number, work: LeasedWork<T>, signal?: AbortSignal): Promise<T | undefined>;
  /**
   * Leads for as long as it can, again and again, until `signal` aborts: for jobs that one replica does. A rejected
   * `work` gives the lease to whoever comes next and is reported to `onError`; then this one stands in line again.
   */
  lead(name: string, ttlMs: number, work: LeasedWork<void>, signal: AbortSignal, onError?: (error: unknown) => void): Promise<void>;
}

/**
 * Call it inside the transaction whose writes the lease protects: throws `lease.lost` when a newer holder exists, and
 * holds newer holders off until the transaction ends. A paused process that wakes up late cannot write after it.
 */
export async function requireFence(tx: Tx, name: string, fence: number): Promise<void> {
  const [row] = await tx.query<{ fence: number }>('SELECT fence FROM platform.leases WHERE name = $1 FOR SHARE', [name]);
  if (row?.fence !== fence) throw leaseErrors.error('lease.lost', { name });
}

export function createLeases(database: Database): Leases {
  const holder = `${hostname()}/${process.pid}/${randomUUID()}`;
  const acquire = (name: string, ttlMs: number) =>
    database.system('lease', async (tx) => {
      const [row] = await tx.query<{ fence: number }>(
        `INSERT INTO platform.leases AS l (name, holder, fence, expires_at)
         VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3 / 1000.0))
         ON CONFLICT ON CONSTRAINT leases_pkey DO UPDATE
           SET holder = excluded.holder, fence = l.fence + 1, expires_at = clock_timestamp() + make_interval(secs => $3 / 1000.0)
           WHERE l.expires_at < clock_timestamp()
         RETURNING fence`,
        [name, holder, ttlMs],
      );
      return row?.fence;
    });
  const renew = (name: string, fence: number, ttlMs: number) =>
    database.system('lease', (tx) =>
      tx.execute(
        `UPDATE platform.leases SET expires_at = clock_timestamp() + make_interval(secs => $3 / 1000.0)
         WHERE name = $1 AND fence = $2 AND expires_at > clock_timestamp()`,
        [name, fence, ttlMs],
      ),
    );
  const release = (name: string, fence: number) =>
    database.system('lease', (tx) =>
      tx.execute(`UPDATE platform.leases SET expires_at = '-infinity' WHERE name = $1 AND fence = $2`, [name, fence]),
    );

  const hold = async <T>(
    name: string,
    ttlMs: number,
    fence: number,
    takenAt: number,
    work: LeasedWork<T>,
    outer?: AbortSignal,
  ): Promise<T> => {
    const lost = new AbortController();
    const ended = new AbortController();
    const lose = () => lost.abort(leaseErrors.error('lease.lost', { name }));
    // Measured from before the statement left, so this side gives up no later than the server does.
    let deadline = setTimeout(lose, Math.max(0, takenAt + ttlMs - performance.now()));
    const renewing = (async () => {
      while (!lost.signal.aborted && !ended.signal.aborted) {
        await sleep(ttlMs / 3, undefined, { signal: ended.signal }).catch(() => {});
        if (ended.signal.aborted || lost.signal.aborted) return;
        const sentAt = performance.now();
        const renewed = await renew(name, fence, ttlMs).catch(() => undefined);
        if (renewed === 0) lose();
        if (renewed !== 1 || lost.signal.aborted) continue;
        clearTimeout(deadline);
        deadline = setTimeout(lose, Math.max(0, sentAt + ttlMs - performance.now()));
      }
    })();
    try {
      const result = await work(fence, outer ? AbortSignal.any([lost.signal, outer]) : lost.signal);
      lost.signal.throwIfAborted();
      return result;
    } catch (error) {
      throw lost.signal.aborted ? lost.signal.reason : error;
    } finally {
      ended.abort();
      await renewing;
      clearTimeout(deadline);
      // If this fails the lease runs out by itself.
      if (!lost.signal.aborted) await release(name, fence).catch(() => {});
    }
  };

  const tryLease: Leases['tryLease'] = async (name, ttlMs, work, signal) => {
    const takenAt = performance.now();
    const fence = await acquire(name, ttlMs);
    return fence === undefined ? undefined : hold(name, ttlMs, fence, takenAt, work, signal);
  };

  const withLease: Leases['withLease'] = async (name, ttlMs, work, signal) => {
    for (;;) {
      signal?.throwIfAborted();
      const takenAt = performance.now();
      const fence = await acquire(name, ttlMs);
      if (fence !== undefined) return hold(name, ttlMs, fence, takenAt, work, signal);
      await sleep((ttlMs / 3) * (0.5 + Math.random()), undefined, { signal });
    }
  };

  return {
    tryLease,
    withLease,
    lead: async (name, ttlMs, work, signal, onError) => {
      while (!signal.aborted) {
        try {
          await withLease(name, ttlMs, work, signal);
        } catch (error) {
          if (signal.aborted) return;
          onError?.(error);
        }
        await sleep((ttlMs / 3) * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    },
  };
}

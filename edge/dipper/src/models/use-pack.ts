import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type CheckOptions, changePackInUse, checkPack, type PackInUse, packFolder } from '@dipper/mizar';
import { AgentError, agentSocket, callUnary, dial, lockHolder, systemClock } from '@dipper/platform';
import { agent } from '@stardipper/proto';
import { inUseOrNone, type PinnedPack } from './list-packs';
import { modelsErrors } from './models.errors';

export interface UsePack {
  readonly dataDir: string;
  readonly id: string;
  readonly pinned?: PinnedPack;
  readonly check?: CheckOptions;
  /** 0 does not wait for the box to follow. */
  readonly waitMs: number;
}

/**
 * - `running`: the box works with it.
 * - `not_running`: it will at its next start.
 * - `pinned`: the box works with the pack that MIZAR_PACK or its settings name, and will until they name none.
 * - `chosen`: not waited for.
 */
export type UseOutcome = 'running' | 'not_running' | 'pinned' | 'chosen';

const LOOK_EVERY_MS = 200;

/**
 * Chooses the pack the box works with: durably, at once and after a check, so that a box never changes to a pack it cannot
 * start with. Mizar ends and is started with it; what it works on is given to it again. Throws `pack.not_installed`, what
 * the check found, `pack.rolled_back` when Mizar could not start with it all the same, `pack.not_followed` when it was too slow.
 */
export async function usePack({ dataDir, id, pinned, check = {}, waitMs }: UsePack): Promise<UseOutcome> {
  const folder = packFolder(dataDir, id);
  if (!existsSync(folder)) throw modelsErrors.notInstalled(id);
  const spec = await checkPack(folder, check);
  if (spec.id !== id) throw new AgentError('pack.invalid', 'unprocessable', { field: 'id' });
  const choice = await changePackInUse(dataDir, (now) => choose(dataDir, now, id));
  if (pinned || (await isPinned(dataDir))) return 'pinned';
  if (!choice) throw new Error('nothing was chosen');
  if (!isRunning(dataDir)) return 'not_running';
  if (waitMs === 0) return 'chosen';
  for (const until = Date.now() + waitMs; Date.now() < until; await systemClock.sleep(LOOK_EVERY_MS)) {
    const now = inUseOrNone(dataDir);
    if (now?.id === id && now.works) return 'running';
    if (now?.refused?.id === id) throw modelsErrors.rolledBack(now.refused);
    if (!isRunning(dataDir)) return 'not_running';
  }
  throw modelsErrors.notFollowed(id, waitMs);
}

/** The same again is no change, unless Mizar went back or could not start: then it tries anew. */
function choose(dataDir: string, now: PackInUse | undefined, id: string): PackInUse {
  if (now?.id === id && now.works && !now.refused) return now;
  const before = now?.id !== id && now?.works ? now.id : now?.previous;
  const previous = before !== undefined && before !== id && existsSync(packFolder(dataDir, before)) ? { previous: before } : {};
  return { id, ...previous, chosenAtMs: Math.max(Date.now(), (now?.chosenAtMs ?? 0) + 1) };
}

/** Mizar, or the supervisor that is about to start it. */
const isRunning = (dataDir: string): boolean => ['mizar', 'dipper'].some((name) => lockHolder(dataDir, name) !== undefined);

/** Only the running Mizar knows with which MIZAR_PACK it was started. One that is just starting does not answer. */
async function isPinned(dataDir: string): Promise<boolean> {
  const client = dial(agent.AgentServiceClient, agentSocket(resolve(dataDir), 'mizar'));
  try {
    const { values } = await callUnary(client, client.getStats, {}, { timeoutMs: 2000 });
    return values.pack_pinned === 1;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

import { type AgentContext, AgentError } from '@dipper/platform';
import { mizarErrors } from '../mizar.errors';
import { changePackInUse, isSameChoice, type PackInUse, packFolder, readPackInUse } from './pack-in-use';

/** A pack that takes Mizar down with it shows only by this: it was tried, and nobody lived to tell. Power cuts and kills count, too. */
const MAX_ATTEMPTS = 3;

export interface OpenedPack<T> {
  readonly opened: T;
  readonly inUse: PackInUse;
}

/**
 * Opens the pack in use. When that fails by the pack's fault, or did not end three times, the one before becomes the one
 * in use, with the reason kept beside it. Throws `pack.missing` when none is in use, and why the last one could not be opened.
 */
export async function openPackInUse<T>(
  { dataDir, log }: Pick<AgentContext, 'dataDir' | 'log'>,
  open: (folder: string) => Promise<T>,
): Promise<OpenedPack<T>> {
  /** A full disk, or one that is not ours to write, keeps nobody from working with the pack that is there. */
  const note = (change: (now: PackInUse | undefined) => PackInUse | undefined): Promise<PackInUse | undefined> =>
    changePackInUse(dataDir, change).catch((error: unknown) => {
      log.warn({ err: error }, 'cannot note how the pack in use does');
      return undefined;
    });
  for (;;) {
    // A file that is not ours is an error here, and not a box without a pack.
    const chosen = readPackInUse(dataDir);
    if (!chosen) throw mizarErrors.packMissing('pack.not_configured');
    const inUse = (await note((now) => now && (now.works ? now : { ...now, attempts: (now.attempts ?? 0) + 1 }))) ?? chosen;
    const { attempts = 0, ...choice } = inUse;
    /** What became of this choice; not of another that somebody made meanwhile. */
    const settle = (next: PackInUse) => note((now) => (isSameChoice(now, inUse) && !now?.works ? next : now));
    let failure: unknown;
    if (attempts > MAX_ATTEMPTS) failure = mizarErrors.packCrashes(`${MAX_ATTEMPTS} starts`);
    else {
      try {
        const opened = await open(packFolder(dataDir, inUse.id));
        await settle({ ...choice, works: true });
        return { opened, inUse };
      } catch (error) {
        failure = error;
        // It failed, but let us live.
        await settle(choice);
      }
    }
    if (!isPacksFault(failure, inUse) || inUse.previous === undefined) throw failure;
    const refused = { id: inUse.id, code: failure.code, params: failure.params };
    const back = { id: inUse.previous, chosenAtMs: Date.now(), refused };
    const now = await note((found) => (isSameChoice(found, inUse) ? back : found));
    if (!now) throw failure;
    log.error({ ...refused, previous: inUse.previous, cause: String(failure.cause ?? '') }, 'going back to the pack before');
  }
}

/** Workers of a pack that once worked may die for want of memory; that is no reason to change what all searches see. */
function isPacksFault(error: unknown, { works }: PackInUse): error is AgentError {
  if (!(error instanceof AgentError)) return false;
  return error.code.startsWith('pack.') || (error.code === 'inference.failed' && !works);
}

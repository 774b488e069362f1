import { AgentError, Backoff, type Clock } from '@dipper/platform';

export interface Patience {
  readonly retryMs: number;
  /** How often a call that fails for the recorder's or the file's sake is tried. */
  readonly attempts: number;
}

export interface PatientEnv {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

/**
 * An agent of this box that restarts is back within seconds, and its outage says nothing about the footage. Not for
 * ever, though: a file that kills the agent each time would hold its task until that expires.
 */
const agentAwayMs = 5 * 60_000;
/** Full spools and busy recorders empty by themselves. */
const limitedMs = 10 * 60_000;

/**
 * Tries until it works. Gives up with the last AgentError: at once when trying again cannot help; after `attempts` when
 * a recorder or a file fails; after minutes without a break while an agent of this box is away or something is full.
 */
export async function persist<T>(
  work: (attempt: number) => Promise<T>,
  patience: Patience,
  { clock, signal, random }: PatientEnv,
): Promise<T> {
  const slow = new Backoff(patience.retryMs, patience.retryMs * 15, random);
  const quick = new Backoff(Math.min(200, patience.retryMs), patience.retryMs, random);
  let trouble: { kind: Trouble; since: number } | undefined;
  for (let attempt = 1, failures = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = asAgentError(thrown);
      const kind = troubleOf(error);
      // Counted from the first failure of its kind: the work itself may have waited its turn for long.
      if (trouble?.kind !== kind) trouble = { kind, since: clock.now() };
      if (kind === 'failed') failures += 1;
      const lastsMs = clock.now() - trouble.since;
      if (kind === 'away' && lastsMs >= agentAwayMs) throw error;
      if (kind === 'limited' && lastsMs >= limitedMs) throw error;
      if (kind === 'failed' && (!error.retry || failures >= patience.attempts)) throw error;
      await clock.sleep((kind === 'away' ? quick : slow).nextMs(), signal);
      signal.throwIfAborted();
    }
  }
}

type Trouble = 'away' | 'limited' | 'failed';

function troubleOf(error: AgentError): Trouble {
  if (error.away) return 'away';
  return error.kind === 'limited' ? 'limited' : 'failed';
}

/** What is thrown by a bug is `internal` to everybody outside; the cause is kept for the log. */
export const asAgentError = (error: unknown): AgentError =>
  error instanceof AgentError ? error : new AgentError('internal', 'internal', {}, error);

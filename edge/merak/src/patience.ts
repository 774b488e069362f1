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

/** An agent of this box that restarts is back within seconds, and its outage says nothing about the footage: waited for longer. */
const agentWaits = 150;
/** Full spools and busy recorders empty by themselves. */
const limitWaits = 300;

/**
 * Tries until it works. Gives up with the last AgentError: at once when trying again cannot help, after
 * `attempts` when a recorder fails, after a few minutes (150 and 300 times retryMs) while an agent of this box is away or something is full.
 */
export async function persist<T>(
  work: (attempt: number) => Promise<T>,
  patience: Patience,
  { clock, signal, random }: PatientEnv,
): Promise<T> {
  const since = clock.now();
  const slow = new Backoff(patience.retryMs, patience.retryMs * 15, random);
  const quick = new Backoff(Math.min(200, patience.retryMs), patience.retryMs, random);
  for (let attempt = 1, failures = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = asAgentError(thrown);
      const waitedMs = clock.now() - since;
      // Both ends of a dying connection: the agent went away, whatever gRPC calls it.
      const away = error.code === 'agent.unavailable' || error.code === 'agent.cancelled' || error.code === 'agent.failed';
      if (away) {
        if (waitedMs >= agentWaits * patience.retryMs) throw error;
      } else if (error.kind === 'limited') {
        if (waitedMs >= limitWaits * patience.retryMs) throw error;
      } else {
        failures += 1;
        if (!error.retry || failures >= patience.attempts) throw error;
      }
      await clock.sleep((away ? quick : slow).nextMs(), signal);
      signal.throwIfAborted();
    }
  }
}

/** What is thrown by a bug is `internal` to everybody outside; the cause is kept for the log. */
export const asAgentError = (error: unknown): AgentError =>
  error instanceof AgentError ? error : new AgentError('internal', 'internal', {}, error);

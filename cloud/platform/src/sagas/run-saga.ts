import type { Database, Tx } from '../postgres/database';
import { isHopeless, NotYet, type SagaDefinition, type SagaStep, type StepContext, sagaErrors, shownError } from './saga';
import {
  beginTry,
  beginUndo,
  databaseNow,
  endSaga,
  endTry,
  holdFence,
  putOff,
  renewLease,
  type SagaRow,
  type StepRow,
  stateOf,
  stepsOf,
} from './saga.store';

export interface RunSagaDeps {
  readonly db: Database;
  readonly ttlMs: number;
  /** Before try number `attempt`, which is 2 or more. */
  readonly pauseMs: (attempt: number) => number;
  readonly openSecret: (saga: SagaRow) => string | undefined;
  readonly failed: (saga: SagaRow, step: string, error: unknown) => void;
}

const usualAttempts = 8;
type Outcome = 'go on' | 'rest' | 'ended';

/**
 * Works on a claimed saga until it has ended, waits for its next try, or is another replica's. Every line that is
 * written asks for the fence in the same transaction.
 */
export async function runSaga(deps: RunSagaDeps, definition: SagaDefinition<unknown>, saga: SagaRow, ending: AbortSignal): Promise<void> {
  const lost = new AbortController();
  const lease = setInterval(() => {
    deps.db
      .system('saga lease', (tx) => renewLease(tx, saga.id, saga.fence, deps.ttlMs))
      .then((rows) => rows === 0 && lost.abort(sagaErrors.error('saga.lost')))
      .catch(() => undefined);
  }, deps.ttlMs / 3);
  const signal = AbortSignal.any([ending, lost.signal]);
  try {
    while ((await advance(deps, definition, saga, signal)) === 'go on');
  } finally {
    clearInterval(lease);
  }
}

async function advance(deps: RunSagaDeps, definition: SagaDefinition<unknown>, saga: SagaRow, signal: AbortSignal): Promise<Outcome> {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
    deps.db.system('saga', async (tx) => {
      if (!(await holdFence(tx, saga.id, saga.fence))) throw sagaErrors.error('saga.lost');
      return work(tx);
    });
  const { state, steps } = await write(async (tx) => ({
    state: await stateOf(tx, saga.id),
    steps: await stepsOf(tx, saga.id),
  }));
  if (signal.aborted) {
    await write((tx) => putOff(tx, saga.id, saga.fence, 0, undefined));
    return 'rest';
  }
  const forward = state === 'doing';
  const row = forward ? steps.find((each) => each.state !== 'done') : steps.findLast((each) => !['waiting', 'undone'].includes(each.state));
  if (!row) {
    await write((tx) => endSaga(tx, saga.id, forward ? 'done' : 'undone'));
    return 'ended';
  }
  const step = definition.steps.find((each) => each.name === row.name);
  if (!step) throw sagaErrors.error('saga.unknown', { kind: saga.kind, step: row.name });
  const giveUp = (cause: unknown) =>
    write(async (tx) => {
      await endTry(tx, saga.id, row.position, { state: 'failed', error: shownError(cause) });
      await beginUndo(tx, saga.id, { step: step.name, ...shownError(cause) });
    });
  const most = definition.forwardOnly ? Number.POSITIVE_INFINITY : (step.maxAttempts ?? usualAttempts);
  // So many tries and none came to an end: they took the process with them.
  if (forward && row.attempts >= most) {
    await giveUp(row.error ? Object.assign(sagaErrors.error('saga.failed'), row.error) : sagaErrors.error('saga.failed'));
    return 'go on';
  }
  const way = forward ? 'doing' : 'undoing';
  const { attempt, since } = await write(async (tx) => ({
    attempt: await beginTry(tx, saga.id, row.position, way),
    since: await databaseNow(tx),
  }));
  try {
    const result = await call(deps, step, saga, steps, { attempt, forward, signal });
    await write((tx) => endTry(tx, saga.id, row.position, { state: forward ? 'done' : 'undone', result }));
    return 'go on';
  } catch (error) {
    const waits = error instanceof NotYet || signal.aborted;
    if (!waits) deps.failed(saga, step.name, error);
    if (forward && !waits && !definition.forwardOnly && (isHopeless(error) || attempt >= most)) {
      await giveUp(error);
      return 'go on';
    }
    await write(async (tx) => {
      await endTry(tx, saga.id, row.position, waits ? { state: way, uncount: true } : { state: way, error: shownError(error) });
      await putOff(tx, saga.id, saga.fence, error instanceof NotYet ? error.retryInMs : waits ? 0 : deps.pauseMs(attempt + 1), since);
    });
    return 'rest';
  }
}

async function call(
  deps: RunSagaDeps,
  step: SagaStep<unknown>,
  saga: SagaRow,
  steps: readonly StepRow[],
  { attempt, forward, signal }: { attempt: number; forward: boolean; signal: AbortSignal },
): Promise<unknown> {
  const context: StepContext = {
    sagaId: saga.id,
    tenantId: saga.tenant_id,
    attempt,
    results: Object.fromEntries(steps.flatMap((each) => (each.result === null ? [] : [[each.name, each.result]]))),
    secret: deps.openSecret(saga),
    signal,
    stillMine: async (tx) => {
      if (!(await holdFence(tx, saga.id, saga.fence))) throw sagaErrors.error('saga.lost');
    },
  };
  if (forward) return step.do(saga.input, context);
  await step.undo(saga.input, context);
  return undefined;
}

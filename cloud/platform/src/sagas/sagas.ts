import { setTimeout as sleep } from 'node:timers/promises';
import type { SecretBox } from '../config/secret-box';
import { AppError } from '../errors/app-error';
import type { Database, Tx } from '../postgres/database';
import type { Log } from '../postgres/open-database';
import { type RunSagaDeps, runSaga } from './run-saga';
import { type SagaDefinition, type SagaProgress, sagaErrors } from './saga';
import {
  claimDue,
  forgetEnded,
  insertSaga,
  makeDue,
  momentNow,
  nextDueInMs,
  putOff,
  readLatestSaga,
  readSaga,
  sagaChannel,
  wakeRunners,
} from './saga.store';

export interface SagasOptions {
  readonly db: Database;
  readonly definitions: readonly SagaDefinition[];
  /** Needed by sagas that are started with a secret. */
  readonly secrets?: SecretBox;
  readonly log?: Log;
  /** A replica silent for so long has lost its saga; 30 s unless told. */
  readonly leaseMs?: number;
  /** Pause before the second try; doubles up to `longestPauseMs`. 1 s and 10 minutes unless told. */
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
  /** Sagas this replica works on at once; 4 unless told. */
  readonly atOnce?: number;
  /** How long the ended ones can be read; 90 unless told. */
  readonly keepDays?: number;
}

export interface StartSaga<Input> {
  /** Chosen by the caller: a second start with the same id does nothing. */
  readonly id: string;
  readonly kind: string;
  readonly tenantId: string;
  /** JSON. Everybody who may read the database can read it. */
  readonly input: Input;
  /** Kept sealed, and forgotten when the saga has ended. */
  readonly secret?: string;
}

export interface Sagas {
  /** In the caller's transaction: the saga is there when the caller's own rows are. False when it was there already. */
  start<Input>(tx: Tx, saga: StartSaga<Input>): Promise<boolean>;
  /** Ends the pause of a saga whose step waits for what the caller now brings. */
  wake(tx: Tx, sagaId: string): Promise<void>;
  progress(tx: Tx, sagaId: string): Promise<SagaProgress | undefined>;
  latest(tx: Tx, tenantId: string, kind: string): Promise<SagaProgress | undefined>;
  /**
   * Works on what is due at the moment of the call, each once; answers how many sagas it touched. What becomes due
   * meanwhile is for the next call: with pauses shorter than a try takes this one would never end. For tests and tools.
   */
  runDue(signal?: AbortSignal): Promise<number>;
  /** Works for as long as the signal allows; resolves when the steps in flight have ended. */
  run(signal: AbortSignal): Promise<void>;
}

const dayMs = 86_400_000;
/** Even with nothing to do: a notification may have been missed. */
const longestSleepMs = 15_000;

/**
 * Sagas whose state lies in PostgreSQL: any replica that knows the kind goes on with what another began. A saga is
 * worked on by one replica at a time (lease with a fence); see `SagaStep` for what its steps must bear.
 */
export function createSagas(options: SagasOptions): Sagas {
  const { db, log } = options;
  const definitions = new Map(options.definitions.map((each) => [each.kind, each as unknown as SagaDefinition<unknown>]));
  const kinds = [...definitions.keys()];
  const longestPauseMs = options.longestPauseMs ?? 600_000;
  const leaseMs = options.leaseMs ?? 30_000;
  const boundTo = (id: string) => `saga:${id}`;
  const deps: RunSagaDeps = {
    db,
    ttlMs: leaseMs,
    pauseMs: (attempt) =>
      Math.min(longestPauseMs, (options.firstPauseMs ?? 1_000) * 2 ** Math.min(20, attempt - 2)) * (0.75 + Math.random() / 4),
    openSecret: (saga) => (saga.secret_sealed === null ? undefined : options.secrets?.open(saga.secret_sealed, boundTo(saga.id))),
    failed: (saga, step, error) => log?.warn({ err: error, saga: saga.kind, sagaId: saga.id, step }, 'a step of a saga failed'),
  };

  /** False when nothing was due. */
  const runOne = async (signal: AbortSignal, dueAt?: string): Promise<boolean> => {
    const saga = await db.system('saga', (tx) => claimDue(tx, kinds, leaseMs, dueAt));
    if (!saga) return false;
    try {
      await runSaga(deps, definitions.get(saga.kind) as SagaDefinition<unknown>, saga, signal);
    } catch (error) {
      if (error instanceof AppError && error.code === 'saga.lost') return true;
      log?.error({ err: error, saga: saga.kind, sagaId: saga.id }, 'a saga cannot go on; tried again later');
      // When not even this can be written, the lease runs out by itself.
      await db.system('saga', (tx) => putOff(tx, saga.id, saga.fence, longestPauseMs, undefined)).catch(() => undefined);
    }
    return true;
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const wakers = new Set<() => void>();
    const wakeAll = () => {
      for (const wake of [...wakers]) wake();
    };
    await db.listen(sagaChannel, wakeAll, signal);
    const rest = async () => {
      const awake = new AbortController();
      const wake = () => awake.abort();
      // Before the look: one that is started right after it would wake nobody.
      wakers.add(wake);
      try {
        const dueInMs = await db.system('saga', (tx) => nextDueInMs(tx, kinds));
        // Never less than a moment: a saga that is due and cannot be claimed must not keep a core busy.
        const ms = Math.min(longestSleepMs, Math.max(50, dueInMs ?? longestSleepMs));
        await sleep(ms, undefined, { signal: AbortSignal.any([signal, awake.signal]) }).catch(() => undefined);
      } finally {
        wakers.delete(wake);
      }
    };
    const work = async () => {
      while (!signal.aborted) {
        try {
          if (!(await runOne(signal))) await rest();
        } catch (error) {
          log?.warn({ err: error }, 'sagas cannot be looked up; tried again');
          await sleep(2_000, undefined, { signal }).catch(() => undefined);
        }
      }
    };
    const forget = async () => {
      while (!signal.aborted) {
        const before = new Date(Date.now() - (options.keepDays ?? 90) * dayMs);
        await db.system('saga: retention', (tx) => forgetEnded(tx, before)).catch(() => undefined);
        await sleep(3_600_000, undefined, { signal }).catch(() => undefined);
      }
    };
    await Promise.all([forget(), ...Array.from({ length: options.atOnce ?? 4 }, work)]);
  };

  return {
    start: async (tx, saga) => {
      const definition = definitions.get(saga.kind);
      if (!definition) throw sagaErrors.error('saga.unknown', { kind: saga.kind });
      if (saga.secret !== undefined && !options.secrets) throw new Error('a saga with a secret needs a box to keep it in');
      return insertSaga(tx, {
        ...saga,
        secretSealed: saga.secret === undefined ? null : (options.secrets?.seal(saga.secret, boundTo(saga.id)) ?? null),
        steps: definition.steps.map((step) => step.name),
      });
    },
    wake: async (tx, sagaId) => {
      await makeDue(tx, sagaId);
      await wakeRunners(tx);
    },
    progress: readSaga,
    latest: readLatestSaga,
    runDue: async (signal = new AbortController().signal) => {
      const dueAt = await db.system('saga', momentNow);
      let touched = 0;
      while (!signal.aborted && (await runOne(signal, dueAt))) touched += 1;
      return touched;
    },
    run,
  };
}

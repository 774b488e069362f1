import { AppError, defineErrors } from '../errors/app-error';
import type { Tx } from '../postgres/database';

export const sagaErrors = defineErrors({
  'saga.not_found': 'not_found',
  /** Another replica has it now; whoever hears this stops at once. */
  'saga.lost': 'conflict',
  /** The program knows no such kind or step: an older or a newer one wrote the row. */
  'saga.unknown': 'unavailable',
  'saga.failed': 'internal',
});

export interface StepContext {
  readonly sagaId: string;
  readonly tenantId: string;
  /** Of this try, from 1. */
  readonly attempt: number;
  /** What the steps before answered, by their names; in `undo` also the step's own, when it got so far. */
  readonly results: Readonly<Record<string, unknown>>;
  /** Given to `start`; undefined when none was. */
  readonly secret: string | undefined;
  /** Aborts when the lease is lost or the program ends. */
  readonly signal: AbortSignal;
  /**
   * Call it in a transaction of the same database before its writes: throws `saga.lost` when another replica has taken
   * the saga over, and holds others off until the transaction ends.
   */
  stillMine(tx: Tx): Promise<void>;
}

/**
 * One step. Both functions may be called again after they have succeeded, because the process may die before that is
 * written down; ids are therefore chosen before the saga starts and are part of its input.
 */
export interface SagaStep<Input> {
  readonly name: string;
  /** What it answers (JSON) later steps find in `results`. */
  do(input: Input, context: StepContext): Promise<unknown>;
  /** Also called for a step that failed, or that was never seen to end: anything from nothing to all of it may be there. */
  undo(input: Input, context: StepContext): Promise<void>;
  /** Tries before the saga is undone; 8 unless told. */
  readonly maxAttempts?: number;
}

export interface SagaDefinition<Input = never> {
  readonly kind: string;
  /** Done in this order, undone in the other. */
  readonly steps: readonly SagaStep<Input>[];
  /** There is no way back: steps are tried for ever, with growing pauses, and `undo` is never called. */
  readonly forwardOnly?: boolean;
}

export type SagaState = 'doing' | 'undoing' | 'done' | 'undone';
export type StepState = 'waiting' | 'doing' | 'done' | 'failed' | 'undoing' | 'undone';

export interface ShownError {
  readonly code: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface SagaProgress {
  readonly id: string;
  readonly kind: string;
  readonly tenantId: string;
  /** As it was started, without the secret. */
  readonly input: unknown;
  readonly state: SagaState;
  /** Why it is or was undone. */
  readonly failure: (ShownError & { readonly step: string }) | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly steps: readonly {
    readonly name: string;
    readonly state: StepState;
    readonly attempts: number;
    readonly undoAttempts: number;
    readonly result: unknown;
    /** Of the last try that failed, while it has not succeeded since. */
    readonly error: ShownError | null;
  }[];
}

/** Thrown by a step that waits for somebody else: called again after the pause, or when `wake` is called, at no attempt's cost. */
export class NotYet extends Error {
  constructor(readonly retryInMs: number) {
    super('not yet');
    this.name = 'NotYet';
  }
}

/** An AppError that no retry can help ends the step at once; everything else may be over at the next try. */
export const isHopeless = (error: unknown): boolean => error instanceof AppError && !error.retry && error.kind !== 'internal';

/** What others may see of an error: never its text. */
export const shownError = (error: unknown): ShownError =>
  error instanceof AppError ? { code: error.code, params: error.params } : { code: 'saga.failed', params: {} };

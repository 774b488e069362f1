import type { Tx } from '../postgres/database';
import type { SagaProgress, SagaState, ShownError, StepState } from './saga';

/** Wakes the runners of every replica. */
export const sagaChannel = 'star_sagas';

export interface SagaRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly kind: string;
  readonly input: unknown;
  readonly secret_sealed: Buffer | null;
  readonly state: SagaState;
  readonly failure: (ShownError & { step: string }) | null;
  readonly fence: number;
  readonly created_at: Date;
  readonly ended_at: Date | null;
}

export interface StepRow {
  readonly position: number;
  readonly name: string;
  readonly state: StepState;
  readonly attempts: number;
  readonly undo_attempts: number;
  readonly result: unknown;
  readonly error: ShownError | null;
}

const sagaColumns = 's.id, s.tenant_id, s.kind, s.input, s.secret_sealed, s.state, s.failure, s.fence, s.created_at, s.ended_at';

export interface NewSaga {
  readonly id: string;
  readonly tenantId: string;
  readonly kind: string;
  readonly input: unknown;
  readonly secretSealed: Buffer | null;
  readonly steps: readonly string[];
}

/** False when there is one with this id already. */
export async function insertSaga(tx: Tx, saga: NewSaga): Promise<boolean> {
  const inserted = await tx.execute(
    `INSERT INTO platform.sagas (id, tenant_id, kind, input, secret_sealed, state) VALUES ($1, $2, $3, $4, $5, 'doing')
     ON CONFLICT ON CONSTRAINT sagas_pkey DO NOTHING`,
    [saga.id, saga.tenantId, saga.kind, JSON.stringify(saga.input), saga.secretSealed],
  );
  if (inserted === 0) return false;
  await tx.execute(
    `INSERT INTO platform.saga_steps (tenant_id, saga_id, position, name)
     SELECT $1, $2, place - 1, name FROM unnest($3::text[]) WITH ORDINALITY AS s (name, place)`,
    [saga.tenantId, saga.id, saga.steps],
  );
  await wakeRunners(tx);
  return true;
}

export const wakeRunners = (tx: Tx): Promise<unknown> => tx.query('SELECT pg_notify($1, $2)', [sagaChannel, 'due']);

/**
 * Takes the oldest that is due, or was at `dueAt`, unless another replica works on it; its lease lasts `ttlMs`. By the
 * time it is due, one that was woken would begin again behind all that have not begun, and none of many would end before
 * all are half done.
 */
export const claimDue = async (tx: Tx, kinds: readonly string[], ttlMs: number, dueAt?: string): Promise<SagaRow | undefined> =>
  (
    await tx.query<SagaRow>(
      `UPDATE platform.sagas s SET fence = s.fence + 1, leased_until = clock_timestamp() + make_interval(secs => $2 / 1000.0)
       WHERE s.id = (SELECT id FROM platform.sagas
         WHERE ended_at IS NULL AND kind = ANY($1) AND next_try_at <= coalesce($3::timestamptz, clock_timestamp()) AND leased_until < clock_timestamp()
         ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING ${sagaColumns}`,
      [kinds, ttlMs, dueAt ?? null],
    )
  )[0];

/** In how many ms the next of them is due; undefined when none waits. */
export const nextDueInMs = async (tx: Tx, kinds: readonly string[]): Promise<number | undefined> =>
  (
    await tx.query<{ ms: number | null }>(
      `SELECT (extract(epoch FROM min(greatest(next_try_at, leased_until)) - clock_timestamp()) * 1000)::float8 AS ms
       FROM platform.sagas WHERE ended_at IS NULL AND kind = ANY($1)`,
      [kinds],
    )
  )[0]?.ms ?? undefined;

/** Rows touched: none when the fence is an older one. */
export const renewLease = (tx: Tx, id: string, fence: number, ttlMs: number): Promise<number> =>
  tx.execute(
    `UPDATE platform.sagas SET leased_until = clock_timestamp() + make_interval(secs => $3 / 1000.0) WHERE id = $1 AND fence = $2 AND ended_at IS NULL`,
    [id, fence, ttlMs],
  );

/** True while the fence is the newest; others cannot claim the saga before the transaction ends. */
export const holdFence = async (tx: Tx, id: string, fence: number): Promise<boolean> =>
  (await tx.query('SELECT 1 FROM platform.sagas WHERE id = $1 AND fence = $2 FOR SHARE', [id, fence])).length === 1;

/** Gives it back, to be taken again in `inMs`. A call to `wake` meanwhile has set `next_try_at` and wins. */
export const putOff = (tx: Tx, id: string, fence: number, inMs: number, sinceFence: Date | undefined): Promise<number> =>
  tx.execute(
    `UPDATE platform.sagas SET leased_until = '-infinity',
       next_try_at = CASE WHEN $4::timestamptz IS NOT NULL AND changed_at > $4 THEN clock_timestamp()
                     ELSE clock_timestamp() + make_interval(secs => $3 / 1000.0) END
     WHERE id = $1 AND fence = $2`,
    [id, fence, inMs, sinceFence ?? null],
  );

/** Due now, and again right after the try that is running. */
export const makeDue = (tx: Tx, id: string): Promise<number> =>
  tx.execute(
    'UPDATE platform.sagas SET next_try_at = least(next_try_at, clock_timestamp()), changed_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL',
    [id],
  );

export const databaseNow = async (tx: Tx): Promise<Date> =>
  (await tx.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]?.now as Date;

/** For `claimDue`: a Date would lose the microseconds, and with them what became due within the last millisecond. */
export const momentNow = async (tx: Tx): Promise<string> =>
  (await tx.query<{ now: string }>('SELECT clock_timestamp()::text AS now'))[0]?.now as string;

export const beginUndo = (tx: Tx, id: string, failure: ShownError & { step: string }): Promise<number> =>
  tx.execute("UPDATE platform.sagas SET state = 'undoing', failure = $2 WHERE id = $1 AND state = 'doing'", [id, JSON.stringify(failure)]);

export const endSaga = (tx: Tx, id: string, state: 'done' | 'undone'): Promise<number> =>
  tx.execute(
    `UPDATE platform.sagas SET state = $2, ended_at = clock_timestamp(), secret_sealed = NULL, leased_until = '-infinity' WHERE id = $1`,
    [id, state],
  );

export const stateOf = async (tx: Tx, id: string): Promise<SagaState | undefined> =>
  (await tx.query<{ state: SagaState }>('SELECT state FROM platform.sagas WHERE id = $1', [id]))[0]?.state;

export const stepsOf = (tx: Tx, id: string): Promise<StepRow[]> =>
  tx.query<StepRow>(
    'SELECT position, name, state, attempts, undo_attempts, result, error FROM platform.saga_steps WHERE saga_id = $1 ORDER BY position',
    [id],
  );

/** Before the try, so that one that takes the process down is counted, too. Answers which try it is. */
export const beginTry = async (tx: Tx, id: string, position: number, way: 'doing' | 'undoing'): Promise<number> =>
  (
    await tx.query<{ attempt: number }>(
      `UPDATE platform.saga_steps SET state = $3, started_at = coalesce(started_at, clock_timestamp()),
         attempts = attempts + ($3 = 'doing')::int, undo_attempts = undo_attempts + ($3 = 'undoing')::int
       WHERE saga_id = $1 AND position = $2
       RETURNING CASE WHEN $3 = 'doing' THEN attempts ELSE undo_attempts END AS attempt`,
      [id, position, way],
    )
  )[0]?.attempt as number;

export const endTry = (
  tx: Tx,
  id: string,
  position: number,
  end: { state: StepState; result?: unknown; error?: ShownError; uncount?: boolean },
): Promise<number> =>
  tx.execute(
    `UPDATE platform.saga_steps SET state = $3, error = $4, result = coalesce($5, result), ended_at = clock_timestamp(),
       attempts = attempts - ($6 AND $3 = 'doing')::int, undo_attempts = undo_attempts - ($6 AND $3 = 'undoing')::int
     WHERE saga_id = $1 AND position = $2`,
    [
      id,
      position,
      end.state,
      end.error === undefined ? null : JSON.stringify(end.error),
      end.result === undefined ? null : JSON.stringify(end.result),
      end.uncount === true,
    ],
  );

const shown = (saga: SagaRow, steps: readonly StepRow[]): SagaProgress => ({
  id: saga.id,
  kind: saga.kind,
  tenantId: saga.tenant_id,
  input: saga.input,
  state: saga.state,
  failure: saga.failure,
  createdAt: saga.created_at,
  endedAt: saga.ended_at,
  steps: steps.map(({ undo_attempts, position: _, ...step }) => ({ ...step, undoAttempts: undo_attempts })),
});

export async function readSaga(tx: Tx, id: string): Promise<SagaProgress | undefined> {
  const [row] = await tx.query<SagaRow>(`SELECT ${sagaColumns} FROM platform.sagas s WHERE s.id = $1`, [id]);
  return row && shown(row, await stepsOf(tx, id));
}

/** The newest of a kind that a tenant has. */
export async function readLatestSaga(tx: Tx, tenantId: string, kind: string): Promise<SagaProgress | undefined> {
  const [row] = await tx.query<SagaRow>(
    `SELECT ${sagaColumns} FROM platform.sagas s WHERE s.tenant_id = $1 AND s.kind = $2 ORDER BY s.created_at DESC LIMIT 1`,
    [tenantId, kind],
  );
  return row && shown(row, await stepsOf(tx, row.id));
}

/** Of a tenant that is removed: their inputs name people. All but the one that removes it. */
export const forgetSagasOf = (tx: Tx, tenantId: string, exceptId: string): Promise<number> =>
  tx.execute('DELETE FROM platform.sagas WHERE tenant_id = $1 AND id <> $2', [tenantId, exceptId]);

/** Sagas that have ended, with their steps. */
export const forgetEnded = (tx: Tx, before: Date): Promise<number> =>
  tx.execute('DELETE FROM platform.sagas WHERE id IN (SELECT id FROM platform.sagas WHERE ended_at < $1 ORDER BY ended_at LIMIT 1000)', [
    before,
  ]);

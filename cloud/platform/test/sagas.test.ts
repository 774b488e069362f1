/** Real: PostgreSQL, and processes that are killed. */
import { fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { AppError, createSagas, type Database, NotYet, type SagaDefinition, SecretBox, type Tx } from '../src';
import { type TestDatabase, testDatabase } from '../src/test-kit';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.close());

const tenantId = randomUUID();
const refused = () => new AppError('thing.refused', 'invalid', { why: 'told so' });

/** Three steps that write down what they do; `fails` decides which call throws what. */
function aTrip(fails: (call: string, attempt: number) => unknown = () => undefined, more: Partial<SagaDefinition> = {}) {
  const calls: string[] = [];
  const there = new Set<string>();
  const step = (name: string) => ({
    name,
    maxAttempts: 3,
    do: async (_: { to: string }, { attempt, results }: { attempt: number; results: object }) => {
      calls.push(`do ${name}`);
      // Half done before it fails: the undo must take that away, too.
      there.add(name);
      const error = fails(`do ${name}`, attempt);
      if (error) throw error;
      return { name, saw: Object.keys(results) };
    },
    undo: async (_: { to: string }, { attempt }: { attempt: number }) => {
      calls.push(`undo ${name}`);
      const error = fails(`undo ${name}`, attempt);
      if (error) throw error;
      there.delete(name);
    },
  });
  const definition = { kind: `trip.${randomUUID()}`, steps: ['a', 'b', 'c'].map(step), ...more } as unknown as SagaDefinition;
  const sagas = createSagas({
    db: database.db,
    definitions: [definition],
    secrets: new SecretBox(randomBytes(32)),
    firstPauseMs: 1,
    longestPauseMs: 5,
    leaseMs: 5_000,
  });
  const id = randomUUID();
  return {
    calls,
    there,
    sagas,
    id,
    start: () =>
      database.db.tenant(tenantId, (tx) =>
        sagas.start(tx, { id, kind: definition.kind, tenantId, input: { to: 'moon' }, secret: 'open sesame' }),
      ),
    progress: () => database.db.tenant(tenantId, (tx) => sagas.progress(tx, id)),
    /** Until it has ended, its pauses among it. */
    end: async () => {
      for (;;) {
        await sagas.runDue();
        const progress = await database.db.tenant(tenantId, (tx) => sagas.progress(tx, id));
        if (progress?.endedAt) return progress;
      }
    },
  };
}

describe('a saga', () => {
  it('does its steps in order, once, however often it is started, and hands their answers on', async () => {
    const trip = aTrip();
    expect(await Promise.all([trip.start(), trip.start()])).toEqual(expect.arrayContaining([true, false]));
    expect(await trip.end()).toMatchObject({
      state: 'done',
      failure: null,
      steps: [
        { name: 'a', state: 'done', attempts: 1, result: { saw: [] } },
        { name: 'b', state: 'done' },
        { name: 'c', state: 'done', result: { saw: ['a', 'b'] } },
      ],
    });
    expect(trip.calls).toEqual(['do a', 'do b', 'do c']);
  });

  it('keeps its secret sealed and forgets it at the end', async () => {
    const trip = aTrip();
    await trip.start();
    const sealed = () =>
      database.db.tenant(tenantId, (tx) =>
        tx.query<{ row: string }>('SELECT secret_sealed, s::text AS row FROM platform.sagas s WHERE id = $1', [trip.id]),
      );
    expect(JSON.stringify(await sealed())).not.toContain('sesame');
    await trip.end();
    expect(await sealed()).toMatchObject([{ secret_sealed: null }]);
  });

  it.each(['a', 'b', 'c'])('is undone to nothing when %s can never succeed, and says why', async (name) => {
    const trip = aTrip((call) => call === `do ${name}` && refused());
    await trip.start();
    expect(await trip.end()).toMatchObject({
      state: 'undone',
      failure: { step: name, code: 'thing.refused', params: { why: 'told so' } },
    });
    expect([...trip.there]).toEqual([]);
    expect(trip.calls.filter((call) => call === `do ${name}`)).toHaveLength(1);
    const undone = trip.calls.filter((call) => call.startsWith('undo')).map((call) => call.slice(5));
    expect(undone).toEqual(['c', 'b', 'a'].filter((each) => each <= name));
  });

  it('tries a step that may yet succeed again, and gives up after its tries', async () => {
    const once_ = aTrip((call, attempt) => call === 'do b' && attempt < 3 && new Error('the line is down'));
    await once_.start();
    expect(await once_.end()).toMatchObject({ state: 'done', steps: [{}, { attempts: 3, error: null }, {}] });
    const never = aTrip((call) => call === 'do b' && new Error('the line is down'));
    await never.start();
    expect(await never.end()).toMatchObject({ state: 'undone', failure: { step: 'b', code: 'saga.failed', params: {} } });
    expect(never.calls.filter((call) => call === 'do b')).toHaveLength(3);
  });

  it('tries an undo for ever and shows that it fails meanwhile', async () => {
    let healed = false;
    const trip = aTrip((call) => (call === 'do c' && refused()) || (call === 'undo b' && !healed && refused()));
    await trip.start();
    while (trip.calls.filter((call) => call === 'undo b').length < 20) await trip.sagas.runDue();
    expect(await trip.progress()).toMatchObject({
      state: 'undoing',
      endedAt: null,
      steps: [{ state: 'done' }, { state: 'undoing', undoAttempts: 20, error: { code: 'thing.refused' } }, { state: 'undone' }],
    });
    healed = true;
    expect(await trip.end()).toMatchObject({ state: 'undone', failure: { step: 'c' } });
    expect([...trip.there]).toEqual([]);
  });

  it('is tried once for each look at what is due, however short its pauses are', async () => {
    let healed = false;
    const tries: number[] = [];
    const kind = `hasty.${randomUUID()}`;
    const only = {
      name: 'only',
      do: async () => {
        if (tries.push(1) > 20) healed = true;
        if (!healed) throw new Error('the line is down');
      },
      undo: async () => undefined,
    };
    const definition = { kind, steps: [only], forwardOnly: true } as unknown as SagaDefinition;
    const sagas = createSagas({ db: database.db, definitions: [definition], firstPauseMs: 0 });
    await database.db.tenant(tenantId, (tx) => sagas.start(tx, { id: randomUUID(), kind, tenantId, input: {} }));
    expect([await sagas.runDue(), tries.length]).toEqual([1, 1]);
    expect([await sagas.runDue(), tries.length]).toEqual([1, 2]);
  });

  it('that is started while all replicas go to rest is begun at once', async () => {
    const kind = `late.${randomUUID()}`;
    let ended = () => {};
    const done = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const definition = {
      kind,
      steps: [{ name: 'only', do: async () => ended(), undo: async () => undefined }],
    } as unknown as SagaDefinition;
    let heard = () => {};
    let starts = 0;
    /** Starts it, and has the word of it arrive, between the look for what is due next and the sleep. */
    const db: Database = {
      ...database.db,
      listen: (channel, onNotify, signal) =>
        database.db.listen(
          channel,
          (payload) => {
            onNotify(payload);
            heard();
          },
          signal,
        ),
      system: (why, work) => {
        let looked = false;
        const seeing = (tx: Tx): Tx => ({
          ...tx,
          query: (sql, params) => {
            looked ||= sql.includes('greatest(next_try_at');
            return tx.query(sql, params);
          },
        });
        const result = database.db.system(why, (tx) => work(seeing(tx)));
        return result.then(async (value) => {
          if (looked && starts++ === 0) {
            const word = new Promise<void>((resolve) => {
              heard = resolve;
            });
            await database.db.tenant(tenantId, (tx) => sagas.start(tx, { id: randomUUID(), kind, tenantId, input: {} }));
            await word;
          }
          return value;
        });
      },
    };
    const sagas = createSagas({ db, definitions: [definition], atOnce: 1 });
    const stop = new AbortController();
    const running = sagas.run(stop.signal);
    await done;
    stop.abort();
    await running;
    // Or else it sleeps for 15 s.
  }, 10_000);

  it('without a way back is never undone', async () => {
    const trip = aTrip((call, attempt) => call === 'do b' && attempt < 20 && refused(), { forwardOnly: true });
    await trip.start();
    expect(await trip.end()).toMatchObject({ state: 'done', steps: [{}, { attempts: 20 }, {}] });
    expect(trip.calls).not.toContain('undo a');
  });

  it('waits for others at no try’s cost, and goes on at once when it is woken', async () => {
    let arrived = false;
    const trip = aTrip((call) => call === 'do b' && !arrived && new NotYet(3_600_000));
    await trip.start();
    await trip.sagas.runDue();
    for (let look = 0; look < 5; look++) {
      await database.db.tenant(tenantId, (tx) => trip.sagas.wake(tx, trip.id));
      await trip.sagas.runDue();
    }
    expect(await trip.progress()).toMatchObject({ state: 'doing', steps: [{}, { state: 'doing', attempts: 0, error: null }, {}] });
    arrived = true;
    await database.db.tenant(tenantId, (tx) => trip.sagas.wake(tx, trip.id));
    expect(await trip.end()).toMatchObject({ state: 'done' });
  });

  it('does not miss a call that comes while it decides to wait', async () => {
    const trip = aTrip(
      (call, attempt) =>
        call === 'do b' && attempt === 1 && trip.calls.filter((each) => each === 'do b').length === 1 && new NotYet(3_600_000),
    );
    const waking = trip.sagas;
    const original = trip.calls.push.bind(trip.calls);
    let woken: Promise<void> | undefined;
    trip.calls.push = (...names) => {
      if (names[0] === 'do b') woken ??= database.db.tenant(tenantId, (tx) => waking.wake(tx, trip.id));
      return original(...names);
    };
    await trip.start();
    await trip.sagas.runDue();
    await woken;
    expect(await trip.end()).toMatchObject({ state: 'done' });
  });

  it('is worked on by one replica at a time, and only one that still has it may write', async () => {
    let both = 0;
    let most = 0;
    const slow = aTrip();
    const definition: SagaDefinition<object> = {
      kind: `slow.${randomUUID()}`,
      steps: [
        {
          name: 'only',
          do: async (_, context) => {
            most = Math.max(most, ++both);
            await new Promise((resolve) => setTimeout(resolve, 50));
            await database.db.tenant(tenantId, (tx) => context.stillMine(tx));
            both -= 1;
          },
          undo: async () => undefined,
        },
      ],
    };
    const replicas = Array.from({ length: 4 }, () =>
      createSagas({ db: database.db, definitions: [definition as unknown as SagaDefinition], leaseMs: 5_000 }),
    );
    await database.db.tenant(tenantId, (tx) =>
      (replicas[0] as (typeof replicas)[0]).start(tx, { id: slow.id, kind: definition.kind, tenantId, input: {} }),
    );
    expect((await Promise.all(replicas.map((each) => each.runDue()))).filter((touched) => touched > 0)).toHaveLength(1);
    expect(most).toBe(1);
  });

  it('is left by a replica whose lease another took', async () => {
    const seen: unknown[] = [];
    const definition: SagaDefinition<object> = {
      kind: `paused.${randomUUID()}`,
      steps: [
        {
          name: 'only',
          do: async (_, { sagaId, stillMine }) => {
            if (seen.push('tried') > 1) return;
            // As if this process had slept past its lease and another had claimed the saga.
            await database.db.system('test', (tx) => tx.execute('UPDATE platform.sagas SET fence = fence + 1 WHERE id = $1', [sagaId]));
            await database.db.tenant(tenantId, stillMine);
            seen.push('wrote');
          },
          undo: async () => undefined,
        },
      ],
    };
    const sagas = createSagas({ db: database.db, definitions: [definition as unknown as SagaDefinition], leaseMs: 60_000 });
    const id = randomUUID();
    await database.db.tenant(tenantId, (tx) => sagas.start(tx, { id, kind: definition.kind, tenantId, input: {} }));
    await sagas.runDue();
    expect(seen).toEqual(['tried']);
    expect(await database.db.tenant(tenantId, (tx) => sagas.progress(tx, id))).toMatchObject({
      state: 'doing',
      steps: [{ state: 'doing' }],
    });
  });

  it('of another tenant is not to be seen', async () => {
    const trip = aTrip();
    await trip.start();
    expect(await database.db.tenant(randomUUID(), (tx) => trip.sagas.progress(tx, trip.id))).toBeUndefined();
    await trip.end();
  });
});

describe('a process that is killed', () => {
  /** Runs the child until it says it is at `kill`, kills it there, and lets another finish. */
  async function killedAt(kill: string, refuse = ''): Promise<{ state: string; rows: string[]; calls: string[] }> {
    const id = randomUUID();
    const tenant = randomUUID();
    const run = (orders: object) => {
      const child = fork(join(__dirname, 'sagas.child.ts'), [], {
        execArgv: ['-r', join(__dirname, 'run-sources.cjs')],
        env: { ...process.env },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      child.send({ databaseUrl: database.appUrl, id, tenantId: tenant, kill, refuse, ...orders });
      return child;
    };
    const first = run({ stopAt: kill });
    const calls: string[] = [];
    await new Promise<void>((resolve, reject) => {
      first.on('message', (message: { at?: string }) => {
        calls.push(message.at ?? '');
        if (message.at === kill) resolve();
      });
      first.once('exit', () => reject(new Error(`ended before ${kill}`)));
    });
    first.kill('SIGKILL');
    await once(first, 'exit');
    const second = run({});
    let state = '';
    second.on('message', (message: { ended?: string }) => {
      if (message.ended) state = message.ended;
    });
    await once(second, 'exit');
    const rows = await database.db.system('test', (tx) =>
      tx.query<{ topic: string }>('SELECT topic FROM platform.outbox WHERE tenant_id = $1', [tenant]),
    );
    return { state, rows: rows.map((row) => row.topic), calls };
  }

  it.each(['before do one', 'after do one', 'before do two', 'after do two'])('%s: the saga is finished, nothing twice', async (kill) => {
    expect(await killedAt(kill)).toMatchObject({ state: 'done', rows: ['one', 'two'] });
  });

  it.each(['after do one', 'before undo two', 'after undo two', 'before undo one', 'after undo one'])(
    '%s, with a step that must fail: nothing is left',
    async (kill) => {
      expect(await killedAt(kill, 'three')).toMatchObject({ state: 'undone', rows: [] });
    },
  );
});

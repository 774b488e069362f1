/** What a box, or whoever speaks for it, may send about tasks that is wrong: refused with a code, kept, and in nobody's way. */
import { randomUUID } from 'node:crypto';
import type { TaskReport } from '@stardipper/proto';
import { aMatch, aReport, aRunningSearch, progressed, requested, rpcFinished, span } from './support/box';
import { addBox, anOperator, type Operator, startWorld, until, type World } from './support/world';

let world: World;
let operator: Operator;

beforeAll(async () => {
  world = await startWorld();
  operator = await anOperator(world);
});
afterAll(() => world?.close());

const read = async (searchId: string) => (await world.request(operator.token, 'GET', `/searches/${searchId}`)).body;

describe('a report', () => {
  it('that makes no sense is kept among the dead letters with its reason, and the ones after it count', async () => {
    const { search, tasks } = await aRunningSearch(world, operator);
    const [task] = tasks;
    if (!task) throw new Error('no task');
    const [cameraA = '', cameraB = ''] = operator.cameraIds;
    const [personId = ''] = search.personIds;
    const { from, to } = task.range;
    const bad = (change: Partial<TaskReport>) => progressed(operator, aReport(task, 1, change));
    const matching = (change: object, at = from + 1) => bad({ matches: [aMatch(cameraA, personId, at, change)] });
    const unknown = { ...task, taskId: randomUUID() };
    const cases = [
      [progressed(operator, 'no json'), 'report.invalid'],
      [progressed(operator, JSON.stringify({ ...aReport(task, 1), seq: 'one' })), 'report.invalid'],
      [bad({ id: `${task.taskId}:2` }), 'report.invalid'],
      [bad({ searchId: randomUUID() }), 'report.invalid'],
      [bad({ packId: 'other-pack' }), 'report.invalid'],
      [bad({ totals: { ...aReport(task, 1).totals, matches: -1 } }), 'report.invalid'],
      [bad({ coverage: [span(randomUUID(), from, to)] }), 'report.invalid'],
      [bad({ coverage: [span(cameraA, to, from)] }), 'report.invalid'],
      [matching({ cameraId: randomUUID() }), 'report.invalid'],
      [matching({ personId: randomUUID() }), 'report.invalid'],
      [matching({ score: 2 }), 'report.invalid'],
      [matching({ frame: [0, 1080] }), 'report.invalid'],
      [matching({}, to + 3_600_000), 'report.invalid'],
      [progressed(operator, aReport(task, 20_000)), 'report.gap_too_wide'],
      [progressed(operator, aReport(unknown, 1)), 'report.task_unknown'],
      [progressed(operator, aReport(task, 1, { coverage: [span(cameraA, from, to)] }), randomUUID()), 'report.foreign'],
    ] as const;
    const before = await read(search.id);
    await world.bus.append(cases.map(([record]) => record));
    const letters = await until('all are set aside', async () => {
      const found = await world.bus.deadLetters('search');
      return found.length === cases.length && found;
    });
    const reasons = new Map(letters.map((letter) => [letter.record?.id, letter.reason.split(' ')[0]]));
    expect(cases.map(([record]) => reasons.get(record.id))).toEqual(cases.map(([, code]) => code));
    expect(letters.find((letter) => letter.record?.id === cases[0][0].id)?.record?.message).toMatchObject({ bodyJson: 'no json' });
    expect(await read(search.id)).toEqual(before);

    await world.bus.append([
      progressed(operator, aReport(task, 1, { coverage: [span(cameraA, from, to)] })),
      progressed(operator, aReport(task, 2, { state: 'finished', coverage: [span(cameraB, from, to)] })),
    ]);
    const finished = await until('finished', async () => {
      const body = await read(search.id);
      return body.state === 'finished' && body;
    });
    expect(finished).toMatchObject({ matches: 0, coverage: { searchedSeconds: 7200, failedSeconds: 0, pendingSeconds: 0 } });
  });
});

describe('the end of a call', () => {
  it.each([
    ['a reply that is no JSON', { replyJson: '{"accepted"' }, 'rpc_reply_invalid'],
    ['a reply that says nothing', { replyJson: '{}' }, 'rpc_reply_invalid'],
    ['a reply about another task', { replyJson: JSON.stringify({ accepted: true, taskId: 'another' }) }, 'rpc_reply_invalid'],
    ['a code that is none', { replyJson: JSON.stringify({ error: { code: '<b>rude</b>' } }) }, 'rpc_reply_invalid'],
    ['a refusal', { replyJson: JSON.stringify({ error: { code: 'task.no_space' } }) }, 'task.no_space'],
    ['an expiry', { state: 'EXPIRED', replyJson: '' }, 'rpc_expired'],
    ['a failure', { state: 'FAILED', replyJson: '{"error":{"code":"rpc.retries_exhausted"}}' }, 'rpc_failed'],
  ])('with %s fails the task with a code and accounts for all its time', async (_, change, code) => {
    const { search, tasks } = await aRunningSearch(world, operator);
    const [task] = tasks;
    if (!task) throw new Error('no task');
    const end = rpcFinished(operator, task, change);
    // Delivered twice, as a bus may.
    await world.bus.append([end, end]);
    const failed = await until('failed', async () => {
      const body = await read(search.id);
      return body.tasks[0].state === 'failed' && body;
    });
    expect(failed).toMatchObject({
      state: 'failed',
      tasks: [{ error: { code } }],
      coverage: { failedSeconds: 7200, pendingSeconds: 0 },
    });
  });

  it('that another box claims, or that is of no task, changes nothing and is kept', async () => {
    const { search, tasks } = await aRunningSearch(world, operator);
    const [task] = tasks;
    if (!task) throw new Error('no task');
    const foreign = rpcFinished(operator, task, { edgeId: randomUUID() });
    const lost = rpcFinished(operator, { ...task, taskId: randomUUID() });
    await world.bus.append([foreign, lost]);
    const reasons = await until('both are set aside', async () => {
      const letters = await world.bus.deadLetters('search');
      const found = [foreign, lost].map(({ id }) => letters.find((letter) => letter.record?.id === id)?.reason.split(' ')[0]);
      return found.every((reason) => reason !== undefined) && found;
    });
    expect(reasons).toEqual(['report.foreign', 'rpc.task_unknown']);
    expect((await read(search.id)).tasks[0].state).toBe('requested');
  });
});

it('ends of calls that come together are taken once each, and a wrong one among them is kept alone', async () => {
  const { tenantId } = operator.caller;
  const boxes = Array.from({ length: 8 }, () => addBox(world, tenantId, 1));
  const cameraIds = boxes.flatMap((box) => box.cameraIds);
  const searches = [await aRunningSearch(world, operator, { cameraIds }), await aRunningSearch(world, operator, { cameraIds })];
  const asked = searches.flatMap(({ search }) => requested(world, search.id));
  expect(asked).toHaveLength(16);
  // One key, so that all of them are one partition's, as a thousand boxes are eight partitions'.
  const ends = asked.map((record, n) => ({
    ...rpcFinished(operator, JSON.parse(record.message.paramsJson), {
      edgeId: record.message.edgeId,
      ...(n % 8 === 3 && { state: 'EXPIRED', replyJson: '' }),
    }),
    key: 'one partition',
  }));
  const [some, others] = [ends.slice(0, 11), ends.slice(11)];
  const lost = {
    ...rpcFinished(operator, { ...JSON.parse(asked[0]?.message.paramsJson ?? ''), taskId: randomUUID() }),
    key: 'one partition',
  };
  await world.bus.append([...some, lost, ...some.toReversed(), ...others]);
  for (const { search } of searches) {
    const body = await until('each box has answered', async () => {
      const seen = await read(search.id);
      return seen.tasks.every((task: { state: string }) => task.state !== 'requested') && seen;
    });
    expect(body.state).toBe('running');
    expect(body.tasks.map((task: { state: string }) => task.state).sort()).toEqual([...Array(7).fill('accepted'), 'failed']);
  }
  await until('the wrong one is set aside', async () =>
    (await world.bus.deadLetters('search')).some((letter) => letter.record?.id === lost.id && letter.reason.startsWith('rpc.task_unknown')),
  );
  const letters = await world.bus.deadLetters('search');
  expect(letters.filter((letter) => ends.some((end) => end.id === letter.record?.id))).toEqual([]);
  const accepted = () =>
    world.published.filter(
      ({ topic, message }) =>
        topic === 'search.task.accepted.v1' && asked.some((each) => each.message.taskId === (message as { taskId: string }).taskId),
    );
  await until('all acceptances are on the bus', () => accepted().length >= 14);
  expect(accepted()).toHaveLength(14);
});

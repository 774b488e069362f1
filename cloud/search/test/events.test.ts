/** One search followed over server-sent events: readers who come back, who leave at once, and searches with more matches than fit. */
import { randomUUID } from 'node:crypto';
import { aMatch, aReport, aRunningSearch, progressed } from './support/box';
import { anOperator, type Operator, startWorld, until, type World } from './support/world';

let world: World;
let operator: Operator;
const ending = new AbortController();
const maxFollowers = 3;

beforeAll(async () => {
  world = await startWorld({ maxFollowers, heartbeatMs: 200 });
  operator = await anOperator(world);
  await world.search.run(ending.signal);
});
afterAll(async () => {
  ending.abort();
  await world?.close();
});

interface Event {
  readonly name: string;
  readonly id: string | undefined;
  readonly data: { id: string };
}

function open(searchId: string, lastEventId?: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${world.base}/api/v1/searches/${searchId}/events`, {
    headers: { authorization: `Bearer ${operator.token}`, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) },
    ...(signal ? { signal } : {}),
  });
}

/** What comes until `enough`; then the reader leaves. */
async function follow(searchId: string, enough: (events: readonly Event[]) => boolean, lastEventId?: string): Promise<Event[]> {
  const leaving = new AbortController();
  const answer = await open(searchId, lastEventId, leaving.signal);
  const events: Event[] = [];
  let text = '';
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    const whole = text.split('\n\n');
    text = whole.pop() as string;
    for (const each of whole) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(each)?.[1];
      const data = field('data');
      if (data !== undefined) events.push({ name: field('event') ?? '', id: field('id'), data: JSON.parse(data) });
    }
    if (enough(events)) break;
  }
  leaving.abort();
  return events;
}

const matchesOf = (events: readonly Event[]) => events.filter(({ name }) => name === 'match').map(({ data }) => data.id);

it('shows the search, then every match once, also to a reader who was away for hundreds of them', async () => {
  const { search, tasks } = await aRunningSearch(world, operator);
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  const [personId = ''] = search.personIds;
  const [first] = await follow(search.id, (events) => events.length > 0);
  expect(first).toMatchObject({ name: 'search', data: { id: search.id } });

  const matches = Array.from({ length: 700 }, (_, n) => aMatch(cameraId, personId, task.range.from + n));
  const reports = [1, 2, 3, 4, 5, 6, 7].map((seq) => aReport(task, seq, { matches: matches.slice((seq - 1) * 100, seq * 100) }));
  await world.bus.append(reports.map((report) => progressed(operator, report)));
  await until('all are stored', async () => {
    const { body } = await world.request(operator.token, 'GET', `/searches/${search.id}`);
    return body.matches === matches.length;
  });
  const missed = await follow(search.id, (events) => matchesOf(events).length >= matches.length, first?.id);
  expect(matchesOf(missed).sort()).toEqual(matches.map(({ sightingId }) => `${sightingId}:${personId}`).sort());

  const half = missed.filter(({ name, id }) => name === 'match' && id !== undefined)[2];
  const rest = await follow(search.id, (events) => matchesOf(events).length >= 400, half?.id);
  expect(matchesOf(rest)).toHaveLength(400);
});

it('has room again when readers have gone, however early they went', async () => {
  const { search } = await aRunningSearch(world, operator);
  for (let n = 0; n < 4 * maxFollowers; n++) {
    const leaving = new AbortController();
    const opened = open(search.id, undefined, leaving.signal).catch(() => undefined);
    await new Promise((done) => setTimeout(done, n % 4));
    leaving.abort();
    await opened;
  }
  const [seen] = await until('there is room', async () => {
    const answer = await follow(search.id, (events) => events.length > 0);
    return answer.length > 0 && answer;
  });
  expect(seen?.data.id).toBe(search.id);

  const staying = new AbortController();
  const readers = await Promise.all(Array.from({ length: maxFollowers }, () => open(search.id, undefined, staying.signal)));
  const all = await until('there are as many as it bears', async () => {
    const answer = await open(search.id);
    if (answer.status === 200) void answer.body?.cancel();
    return answer.status === 429 && answer;
  });
  expect(await all.json()).toMatchObject({ code: 'search.too_many_followers' });
  expect(readers.every(({ status }) => status === 200)).toBe(true);
  staying.abort();
  await follow(search.id, (events) => events.length > 0);
});

it('is nobody’s that is not there', async () => {
  const answer = await open(randomUUID());
  expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'search.not_found' }]);
});

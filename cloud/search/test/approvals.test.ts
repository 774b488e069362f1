/** Searches that need a second person: real PostgreSQL, bus and HTTP; the clock is moved. */
import { randomUUID } from 'node:crypto';
import type { Caller } from '@star/platform';
import type { Search } from '@stardipper/proto';
import { search as searchSchema } from '@stardipper/proto';
import { requested } from './support/box';
import { anHour, anOperator, aPerson, type Operator, picture, startWorld, until, type World } from './support/world';

let world: World;
let operator: Operator;
let second: Caller;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.close());

beforeEach(async () => {
  world.clock.offsetMs = 0;
  operator = await anOperator(world);
  second = colleague();
  const set = await as(colleague({ roles: ['tenant-admin'] }), 'PUT', '/approvals/rule', { required: true });
  expect(set).toMatchObject({ status: 200, body: { required: true } });
});

const colleague = (change: Partial<Caller> = {}): Caller => ({ ...operator.caller, userId: randomUUID(), username: 'second', ...change });

const as = async (caller: Caller, method: string, path: string, body?: unknown) =>
  world.request(await world.tokenFor(caller), method, path, body);

async function aWaitingSearch(): Promise<Search> {
  const personIds = [await aPerson(world, operator)];
  const draft = await as(operator.caller, 'POST', '/searches', { personIds, cameraIds: operator.cameraIds, ...anHour() });
  const { body } = await as(operator.caller, 'POST', `/searches/${draft.body.id}/start`);
  expect(body).toMatchObject({ state: 'awaiting_approval', startedAt: null, tasks: [], approval: { state: 'pending', decidedBy: null } });
  searchSchema.parse(body);
  return body as Search;
}

const decide = (caller: Caller, searchId: string, decision: string, reason = 'seen the report') =>
  as(caller, 'POST', `/searches/${searchId}/approval`, { decision, reason });

const audited = (searchId: string) => world.audit.filter((entry) => entry.subject === searchId).map((entry) => entry.action);

it('runs at once where no approval is wanted', async () => {
  await as(colleague({ roles: ['tenant-admin'] }), 'PUT', '/approvals/rule', { required: false });
  const personIds = [await aPerson(world, operator)];
  const draft = await as(operator.caller, 'POST', '/searches', { personIds, cameraIds: operator.cameraIds, ...anHour() });
  expect((await as(operator.caller, 'POST', `/searches/${draft.body.id}/start`)).body).toMatchObject({ state: 'running', approval: null });
});

it('waits for a second person and then runs as it was asked for, once', async () => {
  const search = await aWaitingSearch();
  expect((await as(operator.caller, 'POST', `/searches/${search.id}/start`)).body.state).toBe('awaiting_approval');
  const list = await as(second, 'GET', '/approvals?state=pending');
  expect(list.body.items).toMatchObject([
    { searchId: search.id, purpose: 'a lost child', people: [{ name: 'Wang Wei' }], cameras: 2, requestedBy: { username: 'op' } },
  ]);
  const answers = await Promise.all([second, colleague(), colleague()].map((caller) => decide(caller, search.id, 'approve')));
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409]);
  const { body } = await as(operator.caller, 'GET', `/searches/${search.id}`);
  expect(body).toMatchObject({ state: 'running', approval: { state: 'approved', reason: 'seen the report' } });
  expect({ ...body, approval: null, state: '', tasks: [], startedAt: '' }).toEqual({
    ...search,
    approval: null,
    state: '',
    tasks: [],
    startedAt: '',
  });
  await until('the box is asked', () => requested(world, search.id).length > 0);
  expect(requested(world, search.id)).toHaveLength(1);
  expect(audited(search.id)).toEqual(['search.drafted', 'search.approval_requested', 'search.approved', 'search.started']);
  expect(world.audit.find((entry) => entry.action === 'search.approved' && entry.subject === search.id)).toMatchObject({
    reason: 'seen the report',
    details: { purpose: 'a lost child' },
  });
  expect(await decide(second, search.id, 'refuse')).toMatchObject({ status: 409, body: { code: 'approval.not_pending' } });
});

it('is live in the event stream', async () => {
  const search = await aWaitingSearch();
  const answer = await fetch(`${world.base}/api/v1/searches/${search.id}/events`, {
    headers: { authorization: `Bearer ${operator.token}` },
  });
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await next()).toContain('"state":"awaiting_approval"');
  await decide(second, search.id, 'refuse', 'no case number');
  let text = '';
  while (!text.includes('"state":"refused"')) text = await next();
  expect(text).toContain('no case number');
  await reader.cancel();
});

it('is refused with a reason, for good, and can then be deleted', async () => {
  const search = await aWaitingSearch();
  expect(await as(operator.caller, 'DELETE', `/searches/${search.id}`)).toMatchObject({ status: 409, body: { code: 'search.not_final' } });
  expect((await decide(second, search.id, 'refuse', ' no case number ')).body).toMatchObject({
    state: 'refused',
    finishedAt: expect.any(String),
    approval: { state: 'refused', reason: 'no case number', decidedBy: { username: 'second' } },
  });
  for (const path of ['start', 'cancel'])
    expect(await as(operator.caller, 'POST', `/searches/${search.id}/${path}`)).toMatchObject({
      status: 409,
      body: { code: 'search.already_final' },
    });
  expect(requested(world, search.id)).toHaveLength(0);
  expect((await as(operator.caller, 'DELETE', `/searches/${search.id}`)).status).toBe(204);
});

it('is not decided by who asked, by a program, by who may not, nor without a reason', async () => {
  const search = await aWaitingSearch();
  expect(await decide(operator.caller, search.id, 'approve')).toMatchObject({ status: 403, body: { code: 'approval.own_search' } });
  for (const roles of [['viewer'], ['auditor'], ['platform-operator'], []])
    expect((await decide(colleague({ roles }), search.id, 'approve')).status).toBe(403);
  expect((await decide(second, search.id, 'approve', '  ')).status).toBe(400);
  expect((await decide(second, search.id, 'approve')).status).toBe(200);
  const another = await aWaitingSearch();
  const program = { ...second, permissions: ['searches.approve' as const] };
  await expect(world.search.decideApproval(program, another.id, { decision: 'approve', reason: 'x' })).rejects.toMatchObject({
    code: 'approval.by_api_key',
  });
  const stranger = { ...second, tenantId: randomUUID() };
  expect((await decide(stranger, another.id, 'approve')).status).toBe(404);
  expect((await as(stranger, 'GET', '/approvals')).body.items).toEqual([]);
  expect((await as(second, 'PUT', '/approvals/rule', { required: false })).status).toBe(403);
});

it('lapses when nobody decides, and is withdrawn by cancelling', async () => {
  const search = await aWaitingSearch();
  const other = await aWaitingSearch();
  expect((await as(operator.caller, 'POST', `/searches/${other.id}/cancel`)).body).toMatchObject({
    state: 'cancelled',
    approval: { state: 'withdrawn' },
  });
  world.clock.offsetMs = 73 * 3_600_000;
  expect(await decide(second, search.id, 'approve')).toMatchObject({ status: 409, body: { code: 'approval.expired' } });
  expect(await world.search.lapseApprovals()).toBeGreaterThan(0);
  expect((await as(operator.caller, 'GET', `/searches/${search.id}`)).body).toMatchObject({
    state: 'refused',
    approval: { state: 'expired', decidedBy: null },
  });
  expect(await world.search.lapseApprovals()).toBe(0);
});

it('cannot run for somebody who was deleted meanwhile', async () => {
  const search = await aWaitingSearch();
  expect((await as(operator.caller, 'DELETE', `/people/${search.personIds[0]}`)).status).toBe(204);
  expect((await as(second, 'GET', '/approvals')).body.items).toMatchObject([{ people: [{ name: null }] }]);
  expect(await decide(second, search.id, 'approve')).toMatchObject({ status: 422, body: { code: 'search.person_unknown' } });
  expect((await as(operator.caller, 'GET', `/searches/${search.id}`)).body).toMatchObject({
    state: 'awaiting_approval',
    approval: { state: 'pending' },
  });
  expect((await decide(second, search.id, 'refuse', 'gone')).status).toBe(200);
});

it('is not approved by who made the API key that asked', async () => {
  const personIds = [await aPerson(world, operator)];
  const draft = await as(operator.caller, 'POST', '/searches', { personIds, cameraIds: operator.cameraIds, ...anHour() });
  const key = { ...operator.caller, userId: randomUUID(), username: 'api-key:night', keyMadeBy: second.username };
  await world.search.startSearch({ ...key, permissions: ['searches.write' as const] }, draft.body.id);
  expect(await decide(second, draft.body.id, 'approve')).toMatchObject({ status: 403, body: { code: 'approval.own_search' } });
  expect((await decide(colleague({ username: 'third' }), draft.body.id, 'approve')).status).toBe(200);
});

it('is not approved with photos that were added after it was asked for; with fewer it is', async () => {
  const search = await aWaitingSearch();
  const [personId = ''] = search.personIds;
  const addPhoto = async (sidePx: number) =>
    world.request(operator.token, 'POST', `/people/${personId}/photos`, await picture('grey', sidePx), { 'content-type': 'image/jpeg' });
  const photos = async () => (await as(operator.caller, 'GET', `/people/${personId}`)).body.photos as { id: string }[];
  const [first] = await photos();
  expect((await addPhoto(70)).status).toBe(201);
  await as(operator.caller, 'DELETE', `/people/${personId}/photos/${first?.id}`);
  expect(await decide(second, search.id, 'approve')).toMatchObject({
    status: 409,
    body: { code: 'approval.photos_added', params: { personIds: [personId] } },
  });
  expect((await decide(second, search.id, 'refuse')).body.state).toBe('refused');
  const again = await as(operator.caller, 'POST', '/searches', { personIds: [personId], cameraIds: operator.cameraIds, ...anHour() });
  await addPhoto(80);
  await as(operator.caller, 'POST', `/searches/${again.body.id}/start`);
  const [gone] = await photos();
  expect((await as(operator.caller, 'DELETE', `/people/${personId}/photos/${gone?.id}`)).status).toBe(204);
  expect((await decide(second, again.body.id, 'approve')).body.state).toBe('running');
});

/** Tasks from createTask to the last report, against simulated neighbours with faults over real gRPC and HTTP. Real: SQLite, gRPC, HTTP. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '@dipper/platform';
import { packId } from './support/sim-box';
import { aCamera, eventually, Kit, ledgerOf, matchesOf, minute, minutes, queryOf, start } from './support/task-kit';

let kit: Kit;
afterEach(() => kit.stop());

const range = { from: start, to: start + 5 * minute };

test('a search goes through all footage, and a second one over the same hours needs no video', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' }), aCamera({ id: 'cam-2', recorderId: 'nvr-2' })]);
  const first = await kit.run({ range });
  expect(first[0]).toMatchObject({ seq: 1, state: 'running', coverage: [], matches: [] });
  expect(first.at(-1)).toMatchObject({
    state: 'finished',
    totals: { segmentsDone: 10, segmentsFailed: 0, matches: 30, downloadedBytes: 600_000 },
  });
  expect(ledgerOf(first, 'cam-1')).toEqual(['0-300 searched']);
  const { downloadSegment, listSegments } = kit.sim.calls;
  expect(downloadSegment).toBe(10);
  await eventually('all files released', () => kit.sim.spool.size === 0);

  const second = await kit.run({ range });
  expect(ledgerOf(second, 'cam-1')).toEqual(['0-300 indexed']);
  expect(ledgerOf(second, 'cam-2')).toEqual(['0-300 indexed']);
  expect(matchesOf(second)).toEqual(matchesOf(first));
  expect(kit.sim.calls).toMatchObject({ downloadSegment, listSegments });
  const withCrops = kit.sim.delivered.flatMap((r) => r.cropSightingIds);
  expect(new Set(withCrops).size).toBe(30);
});

test('the ledger says what was found where: gaps, overlaps, broken and truncated files, rounding of the recorder', async () => {
  const s = 1_000;
  const cameras = [
    aCamera({
      id: 'cam-1',
      footage: [
        { from: start + 30 * s, to: start + 90 * s },
        { from: start + 150 * s, to: start + 210 * s, decodableTo: start + 180 * s },
      ],
    }),
    aCamera({
      id: 'cam-2',
      footage: [
        { from: start, to: start + 100 * s },
        { from: start + 60 * s, to: start + 160 * s, corrupt: true },
        { from: start + 155 * s, to: start + 300 * s },
      ],
    }),
    aCamera({ id: 'cam-3', footage: minutes(5).map((f) => ({ from: f.from, to: f.to - 1_000, decodableTo: f.to - 1_600 })) }),
    aCamera({ id: 'cam-4', footage: [] }),
  ];
  kit = await Kit.start(cameras);
  const reports = await kit.run({ range });
  expect(ledgerOf(reports, 'cam-1')).toEqual([
    '0-30 no_footage',
    '30-90 searched',
    '90-150 no_footage',
    '150-180 searched',
    '180-210 failed segment.truncated',
    '210-300 no_footage',
  ]);
  expect(ledgerOf(reports, 'cam-2')).toEqual(['0-100 searched', '100-160 failed segment.corrupt', '160-300 searched']);
  expect(ledgerOf(reports, 'cam-3')).toEqual(['0-300 searched']);
  expect(ledgerOf(reports, 'cam-4')).toEqual(['0-300 no_footage']);
  expect(reports.at(-1)?.state).toBe('finished');

  const again = await kit.run({ range });
  expect(ledgerOf(again, 'cam-3')).toEqual(['0-300 indexed']);
  expect(ledgerOf(again, 'cam-1')).toEqual([
    '0-30 no_footage',
    '30-90 indexed',
    '90-150 no_footage',
    '150-180 indexed',
    '180-210 failed segment.truncated',
    '210-300 no_footage',
  ]);
});

test('footage that is still being written is tried once more; what has not come yet is not called empty', async () => {
  const now = Date.now();
  const to = now + 10 * minute;
  const growing = { from: now - 2 * minute, to: now - 30_000, growing: true };
  const camera = aCamera({ id: 'cam-1', footage: [{ from: now - 5 * minute, to: now - 2 * minute }, growing] });
  kit = await Kit.start([camera]);
  let listings = 0;
  kit.sim.fault = (call) => {
    if (call === 'listSegments') listings += 1;
    if (listings >= 2 && call === 'listSegments')
      camera.footage = [
        { from: now - 5 * minute, to: now - 2 * minute },
        { from: now - 2 * minute, to: now - 20_000, growing: true },
      ];
  };
  const params = kit.params({ range: { from: now - 5 * minute, to }, cameras: [{ id: 'cam-1', recorderId: 'nvr-1', channel: 1 }] });
  await kit.call('createTask', params);
  const reports = await kit.finished(params);
  const spans = reports.flatMap((r) => r.coverage).sort((a, b) => a.from - b.from);
  const at = (moment: number) => spans.find((s) => s.from <= moment && moment < s.to);
  expect(at(now - 4 * minute)?.kind).toBe('searched');
  expect(at(now - 30_001)?.kind).toBe('searched');
  expect(at(now - 25_000)?.kind).toBe('searched');
  expect(at(now - 10_000)).toMatchObject({ kind: 'failed', reason: 'segment.still_recording' });
  expect(at(now + 5 * minute)).toMatchObject({ kind: 'failed', reason: 'footage.not_yet_recorded' });
  expect(spans.some((s) => s.kind === 'no_footage')).toBe(false);
});

test('a recorder that cannot be reached, a camera that is refused and one bad file cost only their own time', async () => {
  const cameras = [
    aCamera({ id: 'cam-1', recorderId: 'dead' }),
    aCamera({ id: 'cam-2', recorderId: 'alive' }),
    aCamera({ id: 'cam-3', recorderId: 'alive' }),
    aCamera({ id: 'cam-4', recorderId: 'locked' }),
  ];
  kit = await Kit.start(cameras);
  let flaky = 0;
  kit.sim.fault = async (call, { recorderId, channel, from }) => {
    if (recorderId === 'dead' && call === 'listSegments') throw new AgentError('recorder.unreachable', 'unavailable');
    if (recorderId === 'locked' && call === 'downloadSegment') throw new AgentError('recorder.locked_out', 'unprocessable');
    if (channel === 3 && call === 'downloadSegment' && from === start + minute) throw new AgentError('recorder.no_answer', 'timeout');
    if (channel === 2 && call === 'downloadSegment' && flaky++ % 2 === 0) throw new AgentError('recorder.busy', 'limited');
  };
  const reports = await kit.run({ range });
  expect(ledgerOf(reports, 'cam-1')).toEqual(['0-300 failed recorder.unreachable']);
  expect(ledgerOf(reports, 'cam-2')).toEqual(['0-300 searched']);
  expect(ledgerOf(reports, 'cam-3')).toEqual(['0-60 searched', '60-120 failed recorder.no_answer', '120-300 searched']);
  expect(ledgerOf(reports, 'cam-4')).toEqual(['0-300 failed recorder.locked_out']);
  expect(reports.at(-1)?.totals).toMatchObject({ segmentsDone: 9, segmentsFailed: 6 });
  await eventually('all files released', () => kit.sim.spool.size === 0);

  // The dead recorder's hours that were searched before are still answered, from the index.
  kit.sim.fault = () => {};
  await kit.run({ range: { from: start, to: start + 2 * minute }, cameras: [{ id: 'cam-1', recorderId: 'dead', channel: 1 }] });
  kit.sim.fault = (call) => {
    if (call === 'listSegments') throw new AgentError('recorder.unreachable', 'unavailable');
  };
  const partly = await kit.run({ range, cameras: [{ id: 'cam-1', recorderId: 'dead', channel: 1 }] });
  expect(ledgerOf(partly, 'cam-1')).toEqual(['0-120 indexed', '120-300 failed recorder.unreachable']);
});

test('listings and matches that lie are not believed', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' }), aCamera({ id: 'cam-2' })]);
  const listSegments = kit.sim['listSegments' as never] as unknown as (request: { channel: number }) => Promise<unknown>;
  Object.assign(kit.sim, {
    listSegments: async (request: { channel: number; fromMs: number }) =>
      request.channel === 2 ? { segments: [], listedUntilMs: request.fromMs } : listSegments.call(kit.sim, request),
    matchSightings: async function* () {
      const sound = { atMs: start + 1, score: 0.9, quality: 0.9, box: { x: 0, y: 0, width: 1, height: 1 }, frameWidth: 9, frameHeight: 9 };
      yield {
        matches: [
          { ...sound, sightingId: 'a', personId: 'anna' },
          { ...sound, sightingId: 'b', personId: 'nobody asked' },
          { ...sound, sightingId: 'c', personId: 'anna', atMs: start - 1 },
          { ...sound, sightingId: 'd', personId: 'anna', score: Number.NaN },
          { ...sound, sightingId: '../etc', personId: 'anna' },
        ],
      };
    },
  });
  const reports = await kit.run({ range });
  expect(ledgerOf(reports, 'cam-1')).toEqual(['0-300 searched']);
  expect(ledgerOf(reports, 'cam-2')).toEqual(['0-300 failed listing.no_progress']);
  expect(matchesOf(reports)).toEqual(['a/anna']);
});

test('createTask is one answer for one id, and refuses with a code what it cannot take', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })], { MERAK_MAX_TASKS: '2' });
  const query = kit.sim.query(queryOf('anna'), { status: 503, path: '/later' });
  const params = kit.params({ range, query });
  expect(await kit.call('createTask', params)).toEqual({ accepted: true, taskId: params.taskId });
  expect(await kit.call('createTask', params)).toEqual({ accepted: true, taskId: params.taskId });
  await expect(kit.call('createTask', { ...params, priority: 1 })).rejects.toMatchObject({ code: 'task.conflict' });
  await expect(kit.call('createTask', kit.params({ range, expiresAt: Date.now() - 1 }))).rejects.toMatchObject({ code: 'task.expired' });
  await expect(kit.call('createTask', { ...params, range: { from: 5, to: 5 }, extra: 1, cameras: [{ id: 'a/b' }] })).rejects.toMatchObject({
    code: 'task.malformed',
    params: {
      errors: expect.arrayContaining([
        { pointer: '/range', code: 'range_reversed' },
        { pointer: '/cameras/0/recorderId', code: 'invalid_type' },
        { pointer: '/cameras/0/id', code: 'invalid_format' },
        { pointer: '', code: 'unrecognized_keys' },
      ]),
    },
  });
  const twice = [params.cameras[0], params.cameras[0]];
  await expect(kit.call('createTask', { ...params, cameras: twice })).rejects.toMatchObject({
    params: { errors: [{ pointer: '/cameras/1/id', code: 'duplicate' }] },
  });
  for (const junk of [null, 7, 'x', [], {}]) await expect(kit.call('createTask', junk)).rejects.toMatchObject({ code: 'task.malformed' });
  await kit.call('createTask', kit.params({ range, query }));
  await expect(kit.call('createTask', kit.params({ range, query }))).rejects.toMatchObject({ code: 'task.too_many', params: { limit: 2 } });

  // The query's server recovers, and a repeat with a newly signed address is still the same task.
  kit.sim.setQueryStatus('/later', 200);
  expect(await kit.call('createTask', { ...params, query: { ...query, url: `${query.url}?signed=again` } })).toEqual({
    accepted: true,
    taskId: params.taskId,
  });
  kit.sim.query(queryOf('anna'), { path: '/later?signed=again' });
  expect((await kit.finished(params)).at(-1)?.state).toBe('finished');
  expect(await kit.call('createTask', params)).toEqual({ accepted: true, taskId: params.taskId });
});

test('the other commands refuse with a code what makes no sense, and cost nothing', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })]);
  const { taskId: _, ...rest } = kit.params({ range });
  const good = { range: rest.range, cameras: rest.cameras, packId: rest.packId };
  const bad: [string, unknown][] = [
    ...[null, 7, 'x', [], {}].flatMap((junk): [string, unknown][] => [
      ['cancelTask', junk],
      ['estimateTask', junk],
    ]),
    ['cancelTask', { taskId: '../x' }],
    ['cancelTask', { taskId: 'x', extra: 1 }],
    ['estimateTask', { ...good, range: { from: 5, to: 4 } }],
    ['estimateTask', { ...good, cameras: [] }],
    ['estimateTask', { ...good, cameras: Array.from({ length: 257 }, () => rest.cameras[0]) }],
  ];
  for (const [method, params] of bad) await expect(kit.call(method, params)).rejects.toMatchObject({ code: 'task.malformed' });
  expect(kit.sim.calls).toMatchObject({ listSegments: 0, downloadSegment: 0 });
  await expect(kit.call('estimateTask', good)).resolves.toMatchObject({ indexedMs: 0 });
});

test('a full disk is said, not suffered', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })], { MERAK_MIN_FREE_BYTES: String(2 ** 52) });
  await expect(kit.call('createTask', kit.params({ range }))).rejects.toMatchObject({ code: 'task.no_space' });
  expect(kit.merak?.health?.()).toMatchObject({ code: 'disk.full' });
});

test('a query that is gone, forged, malformed or for another pack fails the task, with all its time accounted for', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })]);
  const good = kit.sim.query(queryOf('anna'));
  const cases: [Parameters<Kit['run']>[0]['query'], string][] = [
    [kit.sim.query(queryOf('anna'), { status: 403 }), 'query.unavailable'],
    [{ ...good, url: good.url.replace(/q\d+$/, 'none') }, 'query.unavailable'],
    [{ ...good, sha256: '0'.repeat(64) }, 'query.hash_mismatch'],
    [{ ...good, bytes: good.bytes - 1 }, 'query.hash_mismatch'],
    [kit.sim.query('not json'), 'query.malformed'],
    [kit.sim.query({ ...queryOf('anna'), persons: [] }), 'query.malformed'],
    [kit.sim.query({ ...queryOf('anna'), packId: 'other' }), 'query.pack_mismatch'],
  ];
  for (const [query, code] of cases) {
    const reports = await kit.run({ range, query: query as NonNullable<typeof query> });
    expect(reports.at(-1)).toMatchObject({ state: 'failed', error: { code } });
    expect(ledgerOf(reports, 'cam-1')).toEqual([`0-300 failed ${code}`]);
  }
  kit.sim.pack = 'pack.newer';
  expect((await kit.run({ range })).at(-1)).toMatchObject({ state: 'failed', error: { code: 'pack.not_installed', params: { packId } } });
});

test('what another pack has indexed counts for nothing: it is estimated and searched as if never seen', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })]);
  await kit.run({ range });
  const { cameras } = kit.params({ range });
  const estimate = (pack: string) => kit?.call('estimateTask', { range, cameras, packId: pack });
  const all = range.to - range.from;
  await expect(estimate(packId)).resolves.toMatchObject({ indexedMs: all, toSearchMs: 0 });
  await expect(estimate('pack.newer')).resolves.toMatchObject({ indexedMs: 0, toSearchMs: all });
  kit.sim.pack = 'pack.newer';
  const query = kit.sim.query({ ...queryOf('anna'), packId: 'pack.newer' });
  expect(ledgerOf(await kit.run({ range, packId: 'pack.newer', query }), 'cam-1')).toEqual(['0-300 searched']);
  // And the other way round: going back finds what was there.
  await expect(estimate(packId)).resolves.toMatchObject({ indexedMs: all, toSearchMs: 0 });
});

test('footage that cannot be had is estimated as what finding that out again costs, and as footage when it can', async () => {
  kit = await Kit.start([
    aCamera({ id: 'cam-1', footage: minutes(5).map((m, i) => (i === 2 ? { ...m, decodableTo: m.from + 20_000 } : m)) }),
    aCamera({ id: 'cam-2' }),
  ]);
  kit.sim.fault = (call, { channel }) => {
    if (call === 'listSegments' && channel === 2) throw new AgentError('recorder.bad_answer', 'unavailable');
  };
  const { cameras } = kit.params({ range });
  const estimate = async () => (await kit.call('estimateTask', { range, cameras, packId })) as { recorders: { downloadBytes: number }[] };
  const bytes = async () => (await estimate()).recorders[0]?.downloadBytes ?? 0;
  const atFirst = await bytes();
  const before = ledgerOf(await kit.run({ range }), 'cam-2');
  expect(before).toEqual(['0-300 failed recorder.bad_answer']);
  const { downloads } = kit.sim;
  const taken = downloads.length;
  // What is missing is a truncated file's end and all of a silent camera: neither is downloaded again, nor estimated so.
  await expect(estimate()).resolves.toMatchObject({ toSearchMs: 340_000, recorders: [{ downloadBytes: 0 }] });
  await kit.run({ range });
  expect(downloads).toHaveLength(taken);
  kit.sim.fault = () => {};
  expect(await bytes()).toBeGreaterThan(0);
  expect(atFirst).toBeGreaterThan(0);
});

test('what finding out took that a camera is silent is in the next estimate', async () => {
  // Two waits, of at least half a second and a whole one.
  kit = await Kit.start([aCamera({ id: 'cam-1' }), aCamera({ id: 'cam-2' })], { MERAK_RETRY_MS: '1000' });
  kit.sim.fault = (call, { channel }) => {
    if (call === 'listSegments' && channel === 2) throw new AgentError('recorder.bad_answer', 'unavailable');
  };
  const { cameras } = kit.params({ range });
  await kit.run({ range });
  const { seconds } = (await kit.call('estimateTask', { range, cameras, packId })) as { seconds: number };
  expect(seconds).toBeGreaterThan(1.5);
  kit.sim.fault = () => {};
  await kit.run({ range });
  await expect(kit.call('estimateTask', { range, cameras, packId })).resolves.toMatchObject({ toSearchMs: 0, seconds: 0.43 });
});

test('cancelling and expiring end a task at once, wherever it is, and tell what was left', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1', footage: minutes(30) })]);
  const all = { from: start, to: start + 30 * minute };
  kit.sim.fault = (call, { from }) => (call === 'downloadSegment' && (from ?? 0) >= start + 3 * minute ? new Promise(() => {}) : undefined);
  const running = kit.params({ range: all });
  const early = kit.params({ range: all });
  const brief = kit.params({ range: all, expiresAt: Date.now() + 1_500 });
  expect(await kit.call('cancelTask', { taskId: early.taskId })).toEqual({ accepted: true, taskId: early.taskId });
  await kit.call('createTask', running);
  await eventually('progress', () => (kit.sim.reportsOf(running.taskId).at(-1)?.totals.doneMs ?? 0) >= 3 * minute);
  await kit.call('createTask', early);
  expect(ledgerOf(await kit.finished(early), 'cam-1')).toEqual(['0-1800 failed task_cancelled']);
  await kit.call('createTask', brief);
  for (let i = 0; i < 2; i += 1)
    expect(await kit.call('cancelTask', { taskId: running.taskId })).toEqual({ accepted: true, taskId: running.taskId });
  const cancelled = await kit.finished(running);
  expect(cancelled.at(-1)?.state).toBe('cancelled');
  expect(ledgerOf(cancelled, 'cam-1')).toEqual(['0-180 searched', '180-1800 failed task_cancelled']);
  const expired = await kit.finished(brief);
  expect(expired.at(-1)?.state).toBe('expired');
  expect(ledgerOf(expired, 'cam-1').at(-1)).toBe('180-1800 failed task_expired');
  await kit.call('cancelTask', { taskId: running.taskId });
  expect(kit.merak?.stats()).toMatchObject({ tasks_cancelled: 2, tasks_expired: 1, tasks_running: 0 });
});

test('no recorder sees more downloads than it can bear; a slow one holds nobody up; urgent work goes first', async () => {
  const cameras = [1, 2, 3, 4, 5, 6].map((n) => aCamera({ id: `cam-${n}`, recorderId: n <= 2 ? 'slow' : 'fast', footage: minutes(12) }));
  kit = await Kit.start(cameras, { MERAK_IN_FLIGHT: '4' }, [
    { id: 'slow', maxSessions: 1 },
    { id: 'fast', maxSessions: 3 },
  ]);
  let released = () => {};
  const held = new Promise<void>((resolve) => {
    released = resolve;
  });
  kit.sim.downloadMs = 5;
  kit.sim.fault = (call, { recorderId }) => (call === 'downloadSegment' && recorderId === 'slow' ? held : undefined);
  const twelve = { from: start, to: start + 12 * minute };
  const params = kit.params({ range: twelve });
  await kit.call('createTask', params);
  const doneOf = (id: string) =>
    kit.sim
      .reportsOf(params.taskId)
      .reduce((sum, r) => sum + r.coverage.filter((c) => c.cameraId === id).reduce((ms, c) => ms + c.to - c.from, 0), 0);
  for (const id of ['cam-3', 'cam-4', 'cam-5', 'cam-6']) await eventually(`${id} done`, () => doneOf(id) === 12 * minute);
  expect(doneOf('cam-1')).toBe(0);
  released();
  await kit.finished(params);
  expect(Object.fromEntries(kit.sim.sessionsPeak)).toEqual({ slow: 1, fast: 3 });
  // All cameras of a recorder take turns: none is far ahead of another while both have footage left.
  const order = kit.sim.downloads.filter((d) => d.recorderId === 'fast').map((d) => d.channel);
  const half = order.slice(0, 24);
  for (const channel of [3, 4, 5, 6]) expect(half.filter((c) => c === channel).length).toBeGreaterThanOrEqual(4);

  kit.sim.forgetIndex();
  let open = () => {};
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  kit.sim.fault = (call) => (call === 'downloadSegment' ? closed : undefined);
  const before = kit.sim.downloads.length;
  const low = kit.params({ range: twelve, priority: 5, cameras: params.cameras.slice(2, 4) });
  await kit.call('createTask', low);
  await eventually('the less urgent one at work', () => kit.sim.downloads.length === before + 3);
  const high = kit.params({ range: twelve, priority: 1, cameras: params.cameras.slice(4, 6) });
  await kit.call('createTask', high);
  await eventually('the urgent one waiting', () => (kit.merak?.stats().segments_waiting ?? 0) >= 20);
  open();
  await Promise.all([kit.finished(high), kit.finished(low)]);
  const priorities = kit.sim.downloads.slice(before).map((d) => d.priority);
  const untilUrgentEnds = priorities.slice(3, priorities.lastIndexOf(1));
  expect(untilUrgentEnds.filter((p) => p === 5).length).toBeLessThan(untilUrgentEnds.length / 3);
});

test('two tasks over the same footage download it once', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1', footage: minutes(10) })]);
  kit.sim.downloadMs = 10;
  const ten = { from: start, to: start + 10 * minute };
  const both = [kit.params({ range: ten }), kit.params({ range: ten })];
  for (const params of both) await kit.call('createTask', params);
  const [a, b] = await Promise.all(both.map((params) => kit.finished(params)));
  expect(matchesOf(a ?? [])).toEqual(matchesOf(b ?? []));
  expect(kit.sim.calls.downloadSegment).toBe(10);
});

test('reports wait for Dubhe on disk, over a restart, and arrive in order', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1', footage: minutes(20), faceEveryMs: 100 })]);
  let down = true;
  kit.sim.fault = (call) => {
    if (call === 'submitReports' && down) throw new AgentError('agent.unavailable', 'unavailable');
  };
  const params = kit.params({ range: { from: start, to: start + 20 * minute } });
  await kit.call('createTask', params);
  await eventually('the task to end', () => kit.merak?.stats().tasks_finished === 1);
  expect(kit.sim.delivered).toEqual([]);
  await kit.stopMerak();
  await kit.startMerak();
  down = false;
  const reports = await kit.finished(params);
  expect(matchesOf(reports).length).toBe(12_000);
  const arrived = kit.sim.delivered.map((r) => Number(r.id.split(':').at(-1)));
  expect(arrived).toEqual([...arrived].sort((x, y) => x - y));
  await eventually('the outbox to be empty', () => kit.merak?.stats().reports_pending === 0);
});

const forgetOf = (personId: string) => ({
  personId,
  packs: [{ packId, threshold: 0.5, embeddings: [Buffer.from(new Float32Array([1, 0, 0, 0]).buffer).toString('base64')] }],
});

test('a person is forgotten: their tasks end, their questions and matches go, Mizar deletes their faces, and a repeat adds up', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })]);
  kit.sim.downloadMs = 60_000;
  const theirs = kit.params({ range });
  const others = kit.params({ range, query: kit.sim.query(queryOf('carla')) });
  for (const params of [theirs, others]) await kit.call('createTask', params);
  await eventually('both questions are here', () => kit.count('queries') === 2);
  kit.sim.theirSightings = 4;
  const folder = join(kit.dataDir, 'merak');
  const hasFacesOf = (personId: string) =>
    readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(`"id":"${personId}"`));
  expect(['anna', 'carla'].map(hasFacesOf)).toEqual([true, true]);
  const call = { personId: 'anna', document: kit.sim.query(forgetOf('anna')) };
  expect(await kit.call('forgetPerson', call)).toEqual({
    receipt: { personId: 'anna', at: expect.any(Number), tasks: 1, matches: 0, sightings: 4 },
  });
  expect(['anna', 'carla'].map(hasFacesOf)).toEqual([false, true]);
  expect(kit.sim.forgotten).toMatchObject([{ packId, threshold: 0.5, embeddings: [expect.any(Buffer)] }]);
  await eventually('the task has ended', () => kit.sim.reportsOf(theirs.taskId).at(-1)?.state === 'cancelled');
  expect(kit.count('queries')).toBe(1);
  kit.sim.theirSightings = 1;
  await kit.stopMerak();
  await kit.startMerak();
  expect(await kit.call('forgetPerson', call)).toMatchObject({ receipt: { tasks: 1, sightings: 5 } });
  expect(kit.sim.reportsOf(others.taskId).at(-1)?.state).not.toBe('cancelled');
});

test('forgetting that takes longer than a call goes on, and gives its receipt later; what fails is told and can be repeated', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1' })]);
  kit.sim.theirSightings = 2;
  let finish = () => {};
  kit.sim.fault = (call) => (call === 'forgetFaces' ? new Promise<void>((resolve) => (finish = resolve)) : undefined);
  const call = { personId: 'anna', document: kit.sim.query(forgetOf('anna')) };
  expect(await kit.call('forgetPerson', call)).toEqual({ accepted: true });
  finish();
  await eventually('the receipt is there', async () => 'receipt' in ((await kit.call('forgetPerson', call)) as object));
  expect(kit.sim.calls.forgetFaces).toBe(1);
  kit.sim.fault = (call) => {
    if (call === 'forgetFaces') throw new AgentError('mizar.busy', 'limited');
  };
  await expect(kit.call('forgetPerson', call)).rejects.toMatchObject({ code: 'mizar.busy' });
  await expect(kit.call('forgetPerson', { ...call, document: kit.sim.query(forgetOf('bruno')) })).rejects.toMatchObject({
    code: 'query.malformed',
  });
  await expect(kit.call('forgetPerson', { personId: 'anna' })).rejects.toMatchObject({ code: 'task.malformed' });
});

/** Against the simulated recorder over real HTTP, with real MPEG-PS files; Alioth is called over its real socket. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Faults, RecorderOptions } from '@dipper/camsim';
import { type alioth, mergeSpans } from '@stardipper/proto';
import fc from 'fast-check';
import { aCatalogue, aSite, continuous, DAY, HOUR, type Site } from './support/site';

let site: Site;
afterEach(() => site.stop());

/** A site with one recorder `r0` of one channel, known to Alioth. */
async function withRecorder(
  options: Partial<RecorderOptions> & { faults?: Partial<Faults> } = {},
  config: Record<string, unknown> = {},
  settings: Record<string, string> = {},
): Promise<void> {
  site = await aSite(settings);
  await site.add({ catalogue: aCatalogue(continuous(20)), ...options });
  site.configure(site.config(0, config));
  await site.untilReport((report) => report.recorderId === 'r0');
}
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );
const spooled = (): string[] => readdirSync(join(site.dataDir, 'alioth', 'spool'));
const only = async (request: Partial<alioth.ListSegmentsRequest> = {}): Promise<alioth.Segment> => {
  const [segment] = (await site.list({ pageSize: 1, ...request })).segments;
  if (!segment) throw new Error('nothing listed');
  return segment;
};

describe('knowing recorders', () => {
  it('reports what it finds, a broken configuration and a changed one, and leaves the others alone', async () => {
    site = await aSite();
    await site.add({ catalogue: aCatalogue(continuous(1), continuous(1)), clockSkewMs: 95_000 });
    await site.add({
      catalogue: { channels: [{ channel: 3, name: 'Tür <3> & "Tor"', online: false, segments: [] }] },
      faults: { prefixed: true, digest: ['MD5', 'SHA-256'], offerBasic: true },
    });
    site.configure({
      ...site.config(0),
      ...site.config(1),
      'recorder.bad': '{"id":',
      'recorder.far': JSON.stringify({ ...JSON.parse(site.config(0)['recorder.r0'] as string), id: 'far', timeZone: 'Mars/Olympus' }),
      other: '1',
    });
    const first = await site.untilReport((r) => r.recorderId === 'r0');
    expect(first).toMatchObject({
      reachable: true,
      clockOffsetMs: 95_000,
      model: 'DS-7616NI-K2',
      firmware: 'V4.74.210',
      channels: [{ channel: 1, name: 'Gate 1', online: true }, { channel: 2 }],
    });
    expect(first.error).toBeUndefined();
    expect((await site.untilReport((r) => r.recorderId === 'r1')).channels).toEqual([
      { channel: 3, name: 'Tür <3> & "Tor"', online: false },
    ]);
    expect(await site.untilReport((r) => r.recorderId === 'bad')).toMatchObject({
      reachable: false,
      error: { code: 'recorder.config_invalid' },
    });
    expect(await site.untilReport((r) => r.recorderId === 'far')).toMatchObject({ error: { code: 'recorder.config_invalid' } });
    expect(new Set(site.reports.map((r) => r.id)).size).toBe(site.reports.length);
    site.configure(site.config(1, { maxSessions: 2 }));
    await site.untilReport((r) => r.recorderId === 'r1' && r.id !== site.reports.find((one) => one.recorderId === 'r1')?.id);
    expect(await code(site.list({ recorderId: 'r0' }))).toBe('recorder.unknown');
    expect(await code(site.list({ recorderId: 'bad' }))).toBe('recorder.unknown');
    expect(await code(site.list({ recorderId: 'r1', fromMs: 5, toMs: 5 }))).toBe('segment.invalid');
  });

  it('tries a wrong password once, and does not come near a lock', async () => {
    await withRecorder({}, { password: 'wrong' });
    expect((await site.untilReport((r) => r.error !== undefined)).error?.code).toBe('recorder.unauthorized');
    for (let i = 0; i < 5; i++) expect(await code(site.list({}))).toBe('recorder.unauthorized');
    expect(site.recorders[0]?.stats().wrongPasswords).toBe(1);
    site.configure(site.config(0));
    await site.untilReport((r) => r.reachable && r.error === undefined);
    expect((await site.list({})).segments).toHaveLength(20);
  });

  it('leaves a locked recorder alone until it unlocks', async () => {
    site = await aSite();
    await site.add({ catalogue: aCatalogue(continuous(3)), faults: { lockoutAfter: 1, lockoutSeconds: 600 } });
    site.configure(site.config(0, { password: 'wrong' }));
    const wrong = await site.untilReport((r) => r.error?.code === 'recorder.locked_out');
    // The right password now: it is refused too until the lock ends, so it is not even tried.
    site.configure(site.config(0));
    const locked = await site.untilReport((r) => r.error?.code === 'recorder.locked_out' && r.id !== wrong.id);
    expect(locked.error?.params?.until).toBeGreaterThan(Date.now() + 500_000);
    for (let i = 0; i < 5; i++) expect(await code(site.list({}))).toBe('recorder.locked_out');
    expect(site.recorders[0]?.stats().triesWhileLocked).toBe(0);
  });

  it('goes on through stale and forgotten nonces without a wrong password', async () => {
    await withRecorder({ faults: { nonceUses: 2, digest: ['SHA-256'] } });
    expect(await site.listAll({ pageSize: 3 })).toHaveLength(20);
    site.recorders[0]?.setFaults({ nonceUses: 0, forgetNonces: 1 });
    await site.download(await only());
    expect(site.recorders[0]?.stats()).toMatchObject({ wrongPasswords: 0 });
    expect(site.recorders[0]?.stats().staleNonces).toBeGreaterThan(1);
  });

  it('says so when a recorder is away, hangs, is busy or talks nonsense, and notices when it is back', async () => {
    await withRecorder({ faults: { down: 'hang' } }, {}, { ALIOTH_REFRESH_MS: '200' });
    expect((await site.untilReport((r) => !r.reachable)).error?.code).toBe('recorder.unreachable');
    expect(await code(site.list({}))).toBe('recorder.unreachable');
    site.recorders[0]?.setFaults({ down: 'busy' });
    await site.untilReport((r) => r.reachable && r.error?.code === 'recorder.busy');
    site.recorders[0]?.setFaults({ down: 'no' });
    await site.untilReport((r) => r.reachable && r.error === undefined);
    for (const searchAnswers of ['entities', 'endless', 'html', 'broken'] as const) {
      site.recorders[0]?.setFaults({ searchAnswers });
      expect([searchAnswers, await code(site.list({}))]).toEqual([searchAnswers, 'recorder.bad_answer']);
    }
    site.recorders[0]?.setFaults({ searchAnswers: 'well', searchFails: true });
    expect(await code(site.list({}))).toBe('recorder.bad_answer');
    await site.recorders[0]?.stop();
    await site.untilReport((r) => r.error?.code === 'recorder.unreachable' && r.error.params?.reason === 'ECONNREFUSED');
  });
});

describe('listing', () => {
  const same = (found: readonly alioth.Segment[], expected: readonly { from: number; to: number }[]) =>
    expect(found.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual(expected.map(({ from, to }) => [from, to]));
  const week = continuous(300, { ms: 1_500_000, gapMs: 600_000 });
  const range = { fromMs: DAY, toMs: DAY + 8 * 24 * HOUR };

  it.each<[string, Partial<Faults>, Partial<RecorderOptions>]>([
    ['small pages', { pageCap: 7 }, {}],
    ['a clock that is wrong', {}, { clockSkewMs: -437_000 }],
    ['labels in UTC', { zMeans: 'utc' }, {}],
    ['numeric offsets', { numericOffsets: true }, {}],
    ['MORE for ever, empty', { moreForEver: 'empty', pageCap: 9 }, {}],
    ['MORE for ever, the last page again', { moreForEver: 'repeat', pageCap: 9 }, {}],
    ['a position that is ignored', { ignoresPosition: true, pageCap: 9 }, {}],
    ['a wrong count', { countOff: 3, pageCap: 9 }, {}],
    ['repeated items', { repeatsItems: true, pageCap: 9 }, {}],
    ['matches without an address', { uriMissingEvery: 4 }, {}],
    ['newest first', { newestFirst: true, pageCap: 9 }, {}],
  ])('gets all of it in spite of %s', async (_, faults, options) => {
    await withRecorder({ catalogue: aCatalogue(week), faults, ...options }, { timeMode: faults.zMeans ?? 'local' });
    same(await site.listAll({ ...range, pageSize: 11 }), week);
  });

  it('lists any footage once: random catalogues, page caps and page sizes', async () => {
    await withRecorder();
    const piece = fc.record({ gap: fc.integer({ min: -90, max: 7200 }), length: fc.integer({ min: 2, max: 5400 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 12 }),
        fc.boolean(),
        async (pieces, pageCap, pageSize, ignoresPosition) => {
          let at = DAY - 3600_000;
          const segments = pieces.map(({ gap, length }) => {
            const from = at + gap * 1000;
            at = from + length * 1000;
            return { from, to: at, file: 'h264.ps', codec: 'h264' as const };
          });
          segments.sort((a, b) => a.from - b.from);
          const index = await site.add({ catalogue: aCatalogue(segments), faults: { pageCap: pageCap + 1, ignoresPosition } });
          site.configure(site.config(index));
          await site.untilReport((r) => r.recorderId === `r${index}`);
          const range = { fromMs: DAY, toMs: DAY + 30 * HOUR };
          const found = await site.listAll({ recorderId: `r${index}`, pageSize, ...range });
          const clip = (all: readonly { from: number; to: number }[]) =>
            mergeSpans(all.map(({ from, to }) => ({ from: Math.max(from, range.fromMs), to: Math.min(to, range.toMs) })));
          expect(clip(found.map(({ fromMs, toMs }) => ({ from: fromMs, to: toMs })))).toEqual(clip(segments));
          for (const [i, one] of found.entries()) expect(one.fromMs).toBeGreaterThanOrEqual(found[i - 1]?.toMs ?? 0);
          expect(new Set(found.map((one) => one.playbackUri)).size).toBe(found.length);
          await site.recorders[index]?.stop();
        },
      ),
      { numRuns: 25, seed: 11 },
    );
  });

  it('restarts where a search ends before its footage does', async () => {
    const dense = continuous(3000, { ms: 20_000 });
    await withRecorder({ catalogue: aCatalogue(dense), faults: { sessionCap: 1200 } });
    same(await site.listAll({ pageSize: 500 }), dense);
  });

  it('gives up on a recorder that invents footage for ever', async () => {
    await withRecorder({ faults: { moreForEver: 'invent' } });
    expect(await code(site.listAll({}))).toBe('recorder.listing_endless');
  });

  it('finds out by itself that labels are UTC, or the wall clock', async () => {
    for (const zMeans of ['utc', 'local'] as const) {
      const from = Math.floor((Date.now() - 600_000) / 1000) * 1000;
      await withRecorder(
        { catalogue: aCatalogue(continuous(1, { from, ms: 60_000 })), faults: { zMeans, growingLast: true } },
        { timeMode: 'auto' },
      );
      const [segment] = await site.listAll({ fromMs: from - HOUR, toMs: from + HOUR });
      expect(segment).toMatchObject({ fromMs: from, growing: true });
      if (zMeans === 'utc') await site.stop();
    }
  });

  it.each([false, true])('keeps the hours apart when clocks go back (recorder ignores daylight saving: %s)', async (ignoresDst) => {
    const night = continuous(12, { from: Date.UTC(2025, 9, 25, 22, 20), ms: 1_800_000 });
    await withRecorder({ catalogue: aCatalogue(night), timeZone: 'Europe/Berlin', faults: { ignoresDst } }, { timeZone: 'Europe/Berlin' });
    same(await site.listAll({ fromMs: Date.UTC(2025, 9, 25, 20), toMs: Date.UTC(2025, 9, 26, 8), pageSize: 2 }), night);
  });

  it('asks a recorder of a million segments for no more than a page needs', async () => {
    const virtual = { from: DAY, count: 1_000_000, segmentMs: 60_000, gapMs: 0, file: 'h264.ps', codec: 'h264' as const };
    await withRecorder({ catalogue: { channels: [{ channel: 1, name: 'Gate', virtual }] } });
    const whole = { fromMs: DAY, toMs: DAY + 1_000_000 * 60_000, pageSize: 40 };
    const page = await site.list(whole);
    expect(page.segments).toHaveLength(40);
    expect(page.listedUntilMs).toBe(DAY + 40 * 60_000);
    const next = await site.list({ ...whole, fromMs: page.listedUntilMs });
    expect(next.segments[0]?.fromMs).toBe(page.listedUntilMs);
    expect(site.recorders[0]?.stats().requests['/ISAPI/ContentMgmt/search']).toBeLessThanOrEqual(6);
    const late = await site.list({ ...whole, fromMs: DAY + 900_000 * 60_000 });
    expect(late.segments[0]?.fromMs).toBe(DAY + 900_000 * 60_000);
  });
});

describe('downloading', () => {
  const expectGood = async (segment: alioth.Segment): Promise<alioth.DownloadSegmentResponse> => {
    const file = await site.download(segment);
    expect(statSync(file.path).size).toBe(file.sizeBytes);
    expect(file.durationMs).toBeGreaterThan(3800);
    expect(file.durationMs).toBeLessThan(4200);
    expect(spooled().filter((name) => name.endsWith('.part'))).toEqual([]);
    return file;
  };

  it.each<[string, Partial<Faults>]>([
    ['POST only', { downloadForm: 'post' }],
    ['GET with a body only', { downloadForm: 'get_body' }],
    ['the address in the query only', { downloadForm: 'get_query' }],
    ['an IMKH header', { imkh: true }],
    ['no Content-Length', { contentLength: false }],
    ['a size that is nonsense', { sizeFactor: 9 }],
    ['a connection cut twice', { resetAfterBytes: 50_000, resetTimes: 2 }],
    ['a connection cut without Content-Length', { resetAfterBytes: 50_000, resetTimes: 1, contentLength: false }],
    ['a stall', { stallAfterBytes: 50_000, stallTimes: 1 }],
    ['a trickle', { trickleBytesPerSecond: 400_000 }],
  ])('works with %s', async (_, faults) => {
    await withRecorder({ faults });
    await expectGood(await only());
    await expectGood((await site.list({})).segments[3] as alioth.Segment);
  });

  it.each<[string, Partial<Faults>, string]>([
    ['400', { badRequestEvery: 2 }, 'retries.recorder.bad_answer'],
    ['503', { busyEvery: 2 }, 'retries.recorder.busy'],
    ['an error inside 200', { errorInOkEvery: 2 }, 'retries.recorder.bad_answer'],
    ['500', { serverErrorEvery: 2 }, 'retries.recorder.bad_answer'],
  ])('tries again after %s on every second download', async (_, faults, counted) => {
    await withRecorder({ faults });
    for (const segment of (await site.list({ pageSize: 4 })).segments) await expectGood(segment);
    expect(site.agent.stats()[counted]).toBe(3);
  });

  it.each([
    // The second try is with a new nonce: the first refusal may have been about the old one.
    ['unauthorized', 'recorder.unauthorized', 2],
    ['forbidden', 'recorder.forbidden', 1],
    ['not_found', 'segment.not_found', 1],
    ['no_video', 'segment.no_video', 1],
    ['empty', 'segment.no_video', 1],
    ['garbage', 'segment.corrupt', 1],
    ['busy', 'recorder.busy', 6],
    ['server_error', 'recorder.bad_answer', 6],
    ['hang', 'recorder.unreachable', 3],
  ] as const)('a channel with %s answers %s after %i tries, and the other one works', async (fault, expected, tries) => {
    await withRecorder({ catalogue: aCatalogue(continuous(2), continuous(2)) });
    const [bad, good] = [await only(), await only({ channel: 2 })];
    site.recorders[0]?.setFaults({ channels: { 1: fault } });
    expect(await code(site.download(bad))).toBe(expected);
    expect(site.recorders[0]?.stats().downloadsStarted).toBe(tries);
    await expectGood(good);
    expect(spooled()).toHaveLength(1);
  });

  it('hands on a file that was cut short: what can be seen in it is for others to say', async () => {
    await withRecorder({ faults: { truncateTo: 0.5 } });
    expect((await site.download(await only())).durationMs).toBeLessThan(3000);
  });

  it('never opens more downloads than the recorder bears, and serves everybody', async () => {
    for (const limit of [1, 3]) {
      await withRecorder({ faults: { maxSessions: limit, trickleBytesPerSecond: 3_000_000 } }, { maxSessions: limit });
      const { segments } = await site.list({});
      await Promise.all(segments.map((segment, i) => site.download(segment, (i % 6) + 1)));
      expect(site.recorders[0]?.stats()).toMatchObject({ maxConcurrentDownloads: limit, downloadsRefused: 0 });
      expect(site.agent.stats().sessions_peak).toBe(limit);
      if (limit === 1) await site.stop();
    }
  });

  it('shares one download among all who ask, and stops it when nobody does any more', async () => {
    await withRecorder({ faults: { trickleBytesPerSecond: 100_000 } });
    const segment = await only();
    const [gone, stays] = [new AbortController(), site.download(segment)];
    const leaves = code(site.download(segment, 1, gone.signal));
    await untilSent(1);
    gone.abort();
    expect(await leaves).toMatch(/cancelled/);
    await stays;
    expect(site.recorders[0]?.stats().downloadsStarted).toBe(1);
    const other = (await site.list({})).segments[5] as alioth.Segment;
    const abort = new AbortController();
    const cancelled = code(site.download(other, 3, abort.signal));
    const sent = site.recorders[0]?.stats().bytesSent ?? 0;
    await untilSent(sent + 1);
    abort.abort();
    expect(await cancelled).toMatch(/cancelled/);
    while (site.recorders[0]?.stats().downloadsNow !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
    while (spooled().length !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
    site.recorders[0]?.setFaults({ trickleBytesPerSecond: 0 });
    await expectGood(other);
  });
  const untilSent = async (bytes: number): Promise<void> => {
    while ((site.recorders[0]?.stats().bytesSent ?? 0) < bytes) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('keeps complete files over a restart, and nothing else', async () => {
    await withRecorder();
    const [a, b] = (await site.list({ pageSize: 2 })).segments as [alioth.Segment, alioth.Segment];
    const before = await expectGood(a);
    writeFileSync(join(site.dataDir, 'alioth', 'spool', `${'0'.repeat(32)}.1-1.part`), 'half');
    await site.restart();
    expect(spooled()).toHaveLength(1);
    await site.untilReport(() => site.reports.length > 1);
    while ((await code(site.list({}))) !== 'no error') await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await site.download(a)).toEqual(before);
    expect(site.recorders[0]?.stats().downloadsStarted).toBe(1);
    await expectGood(b);
  });

  it('keeps within its quota: released files make room, held ones do not', async () => {
    const one = 206_848;
    await withRecorder({ faults: { sizeFactor: 1 } }, {}, { ALIOTH_SPOOL_BYTES: String(2.5 * one) });
    const segments = (await site.list({})).segments as [alioth.Segment, alioth.Segment, alioth.Segment, ...alioth.Segment[]];
    const first = await expectGood(segments[0]);
    await expectGood(segments[1]);
    expect(await code(site.download(segments[2]))).toBe('spool.full');
    await site.release(segments[0]);
    await site.release(segments[0]);
    expect(existsSync(first.path)).toBe(true);
    await expectGood(segments[2]);
    expect(existsSync(first.path)).toBe(false);
    expect(site.agent.stats().spool_bytes).toBeLessThanOrEqual(2.5 * one);
    await site.release({ ...segments[9], playbackUri: 'never there' } as alioth.Segment);
    expect(await code(site.download({ ...segments[0], playbackUri: 'rtsp://x/\u0000' }))).toBe('segment.invalid');
    expect(await code(site.download({ ...segments[0], recorderId: 'nobody' }))).toBe('recorder.unknown');
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mizar } from '@stardipper/proto';
import sharp from 'sharp';
import { type ClipOptions, putImkhHeader, renderClip, type Showing } from './support/clips';
import { hasPortraits, modelsFolder, portraits, portraitsFolder, TestMizar } from './support/mizar';

const withModels = hasPortraits ? describe : describe.skip;
const FROM = Date.UTC(2026, 2, 1, 8, 0, 0);

withModels('finding people in footage, with the real models', () => {
  jest.setTimeout(240_000);
  let agent: TestMizar;
  let folder: string;
  let threshold: number;
  const persons: mizar.QueryPerson[] = [];
  const photos = new Map<string, { path: string; face: mizar.Box; width: number }>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mizar-clips-'));
    agent = await TestMizar.start({ MIZAR_PACK: modelsFolder });
    threshold = (await agentPack(agent)).defaultThreshold;
    for (const [id, path] of portraits('a')) {
      const { embedding } = await agent.embed(readFileSync(path));
      persons.push({ personId: id, embeddings: [embedding] });
    }
    for (const [id, path] of portraits('b')) {
      const { box } = await agent.embed(readFileSync(path));
      photos.set(id, { path, face: box!, width: (await sharp(path).metadata()).width });
    }
  });
  afterAll(async () => {
    await agent?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** Everybody side by side at one size, from `fromS` on. */
  const everybody = (facePx: number, fromS: number, toS: number): (Showing & { id: string })[] =>
    [...photos].map(([id, { path, face, width }], i) => ({
      id,
      photo: path,
      face,
      photoWidth: width,
      facePx,
      at: [180 + (i % 4) * 480, 250 + Math.floor(i / 4) * 500] as const,
      fromS,
      toS,
    }));

  const index = async (name: string, showings: Showing[], options: ClipOptions, cameraId: string): Promise<mizar.IndexSegmentResponse> => {
    const path = join(folder, name);
    await renderClip(path, showings, options);
    return agent.index({ path, cameraId, fromMs: FROM, toMs: FROM + options.seconds * 1000 });
  };

  const matches = (cameraId: string, seconds: number): Promise<mizar.SightingMatch[]> =>
    agent.match({ cameraId, fromMs: FROM, toMs: FROM + seconds * 1000, threshold, persons });

  test('everybody shown at 48, 64 and 96 px is found, and nobody else', async () => {
    const sizes = [48, 64, 96];
    const showings = sizes.flatMap((px, i) => everybody(px, i * 4, i * 4 + 4));
    const done = await index('sizes.mp4', showings, { seconds: 12, gopSeconds: 1 }, 'cam-sizes');
    expect(done).toMatchObject({
      codec: 'h264',
      frameWidth: 1920,
      frameHeight: 1080,
      keyframesDecoded: 12,
      coveredFromMs: FROM,
      coveredToMs: FROM + 12_000,
    });
    const found = await matches('cam-sizes', 12);
    const table = sizes.map((px) => {
      const shown = showings.filter((s) => s.facePx === px);
      const during = found.filter((m) => m.atMs >= FROM + shown[0]!.fromS * 1000 && m.atMs < FROM + shown[0]!.toS * 1000);
      const right = shown.filter((s) => during.some((m) => m.personId === s.id && isAt(m, s)));
      const wrong = during.filter((m) => !shown.some((s) => s.id === m.personId && isAt(m, s)));
      const scores = during.map((m) => m.score).sort((a, b) => a - b);
      return {
        px,
        shown: shown.length,
        found: right.length,
        falseMatches: wrong.length,
        lowest: scores[0]?.toFixed(3),
        missed: shown
          .filter((s) => !right.includes(s))
          .map((s) => s.id)
          .join(' '),
      };
    });
    console.table(table);
    expect(table.map(({ found, falseMatches }) => ({ found, falseMatches }))).toEqual(
      sizes.map(() => ({ found: photos.size, falseMatches: 0 })),
    );
  });

  test('in H.265, in a program stream with the Hikvision header, and with 10 s between keyframes, the same people are found', async () => {
    const showings = everybody(64, 0, 12);
    const found = new Map<string, string[]>();
    const look = async (cameraId: string, done: mizar.IndexSegmentResponse): Promise<mizar.IndexSegmentResponse> => {
      const seen = await matches(cameraId, 12);
      expect(seen.every((m) => showings.some((s) => s.id === m.personId && isAt(m, s)))).toBe(true);
      found.set(cameraId, [...new Set(seen.map((m) => m.personId))].sort());
      return done;
    };
    const h265 = await look('cam-h265', await index('h265.mp4', showings, { seconds: 12, gopSeconds: 2, codec: 'libx265' }, 'cam-h265'));
    expect(h265).toMatchObject({ codec: 'hevc', keyframesDecoded: 6, samplingMs: 2000 });
    const rare = await look('cam-rare', await index('rare.mp4', showings, { seconds: 12, gopSeconds: 10 }, 'cam-rare'));
    expect(rare.samplingMs).toBeLessThanOrEqual(2000);
    await renderClip(join(folder, 'plain.ps'), showings, { seconds: 12, gopSeconds: 1, format: 'mpeg', fps: 25 });
    putImkhHeader(join(folder, 'plain.ps'), join(folder, 'imkh.ps'));
    const hikvision = await agent.index({ path: join(folder, 'imkh.ps'), cameraId: 'cam-ps', fromMs: FROM, toMs: FROM + 12_000 });
    expect(await look('cam-ps', hikvision)).toMatchObject({ codec: 'h264', coveredFromMs: FROM, coveredToMs: FROM + 12_000 });
    for (const ids of found.values()) expect(ids).toEqual([...photos.keys()]);

    const whole = readFileSync(join(folder, 'plain.ps'));
    writeFileSync(join(folder, 'cut.ps'), whole.subarray(0, whole.length >> 1));
    const cut = await agent.index({ path: join(folder, 'cut.ps'), cameraId: 'cam-cut', fromMs: FROM, toMs: FROM + 12_000 });
    expect(cut.coveredToMs).toBeLessThan(FROM + 9000);
    expect(cut.coveredToMs).toBeGreaterThan(FROM + 3000);
    expect(await agent.coverage('cam-cut', FROM, FROM + 12_000)).toEqual([
      { fromMs: FROM, toMs: cut.coveredToMs, samplingMs: cut.samplingMs },
    ]);
  });

  test('a second look gives the same sightings; a dry run leaves nothing; a cancelled one leaves what was', async () => {
    const path = join(folder, 'sizes.mp4');
    const before = await matches('cam-sizes', 12);
    const crops = await Promise.all(before.slice(0, 3).map((m) => agent.crop(m.sightingId)));
    const request = { path, cameraId: 'cam-sizes', fromMs: FROM, toMs: FROM + 12_000 };
    const counted = agent.agent.stats();
    const again = await agent.index(request);
    expect(await matches('cam-sizes', 12)).toEqual(before);
    expect(await Promise.all(before.slice(0, 3).map((m) => agent.crop(m.sightingId)))).toEqual(crops);
    expect(await sharp(crops[0]!.jpeg).metadata()).toMatchObject({ format: 'jpeg' });
    expect(agent.agent.stats().keyframes_decoded_total! - counted.keyframes_decoded_total!).toBe(12);

    const dry = await agent.index({ ...request, cameraId: 'cam-dry', dryRun: true });
    expect(dry).toMatchObject({ keyframesDecoded: 12, sightings: again.sightings });
    expect(await agent.coverage('cam-dry', FROM, FROM + 12_000)).toEqual([]);
    expect(agent.agent.stats().keyframes_decoded_total! - counted.keyframes_decoded_total!).toBe(12);

    const cancel = new AbortController();
    const cancelled = agent.index({ ...request, cameraId: 'cam-cancel' }, cancel.signal);
    setTimeout(() => cancel.abort(), 300);
    await expect(cancelled).rejects.toMatchObject({ kind: 'cancelled' });
    expect(await agent.coverage('cam-cancel', FROM, FROM + 12_000)).toEqual([]);
    // Several at once, more than there are places and frame slots: all end, and none is mixed up with another.
    const many = await Promise.all(['m1', 'm2', 'm3', 'm4', 'm5'].map((cameraId) => agent.index({ ...request, cameraId })));
    for (const one of many) expect(one.sightings).toBe(again.sightings);
    const scores = (found: mizar.SightingMatch[]) => found.map((m) => [m.personId, m.atMs, m.score]);
    expect(scores(await matches('m5', 12))).toEqual(scores(before));
  });

  test('requests that make no sense, and files that are none, have a code each', async () => {
    const good = { path: join(folder, 'sizes.mp4'), fromMs: FROM, toMs: FROM + 1000 };
    await expect(agent.index({ ...good, path: 'relative.mp4' })).rejects.toMatchObject({
      code: 'request.invalid',
      params: { field: 'path' },
    });
    await expect(agent.index({ ...good, toMs: FROM })).rejects.toMatchObject({ code: 'request.invalid', params: { field: 'toMs' } });
    await expect(agent.index({ ...good, cameraId: '../x' })).rejects.toMatchObject({
      code: 'request.invalid',
      params: { field: 'cameraId' },
    });
    await expect(agent.index({ ...good, packId: 'other.1' })).rejects.toMatchObject({ code: 'pack.mismatch' });
    await expect(agent.index({ ...good, path: join(folder, 'nothing') })).rejects.toMatchObject({ code: 'segment.missing' });
    await expect(matchWith(Buffer.alloc(4))).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(matchWith(Buffer.alloc(512))).rejects.toMatchObject({
      code: 'request.invalid',
      params: { field: 'persons.0.embeddings.0' },
    });
    await expect(agent.crop('nobody')).rejects.toMatchObject({ code: 'crop.not_found' });
  });
  const matchWith = (embedding: Buffer) =>
    agent.match({ fromMs: FROM, toMs: FROM + 1000, persons: [{ personId: 'p', embeddings: [embedding] }] });

  test('photos: one face is embedded however it lies and however large; others have a code each', async () => {
    const [id, path] = [...portraits('a')][2]!;
    const upright = readFileSync(path);
    const same = (a: Buffer, b: Buffer): number => floats(a).reduce((sum, x, i) => sum + x * floats(b)[i]!, 0);
    const first = await agent.embed(upright);
    expect(Math.hypot(...floats(first.embedding))).toBeCloseTo(1, 5);
    expect(await sharp(first.crop).metadata()).toMatchObject({ width: 112, height: 112, format: 'jpeg' });
    expect(persons.find((p) => p.personId === id)!.embeddings[0]!.equals(first.embedding)).toBe(true);

    const onItsSide = await sharp(upright).rotate(-90).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(same((await agent.embed(onItsSide)).embedding, first.embedding)).toBeGreaterThan(0.9);
    const { x, y, width, height } = first.box!;
    const close = {
      left: Math.max(0, Math.round(x - width * 0.2)),
      top: Math.max(0, Math.round(y - height * 0.15)),
      width: Math.round(width * 1.4),
      height: Math.round(height * 1.3),
    };
    const huge = await sharp(upright).extract(close).resize(2400).jpeg().toBuffer();
    expect(same((await agent.embed(huge)).embedding, first.embedding)).toBeGreaterThan(0.8);
    const png = await sharp(upright).ensureAlpha().png().toBuffer();
    expect(same((await agent.embed(png)).embedding, first.embedding)).toBeGreaterThan(0.95);

    const code = (image: Buffer) =>
      agent.embed(image).then(
        () => 'taken',
        (error) => [error.code, error.params],
      );
    const small = await sharp(upright)
      .resize({ width: Math.round(((await sharp(upright).metadata()).width * 36) / Math.min(width, height)) })
      .png()
      .toBuffer();
    expect(await code(small)).toEqual(['photo.face_too_small', { px: expect.any(Number), min: 48 }]);
    expect(await code(readFileSync(join(portraitsFolder!, 'id02-id03-group.jpg')))).toEqual([
      'photo.several_faces',
      { count: expect.any(Number) },
    ]);
    const grey = await sharp({ create: { width: 600, height: 400, channels: 3, background: '#808080' } })
      .jpeg()
      .toBuffer();
    expect(await code(grey)).toEqual(['photo.no_face', {}]);
    const bomb = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    for (const image of [Buffer.from('no picture'), upright.subarray(0, 900), bomb])
      expect(await code(image)).toEqual(['photo.undecodable', {}]);
  });
});

const floats = (bytes: Buffer): Float32Array => new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));

const isAt = (m: mizar.SightingMatch, s: Showing): boolean =>
  Math.hypot(m.box!.x + m.box!.width / 2 - s.at[0], m.box!.y + m.box!.height / 2 - s.at[1]) < s.facePx / 2;

function agentPack(agent: TestMizar): Promise<mizar.GetPackResponse> {
  return new Promise((resolve, reject) => agent.client.getPack({}, (error, pack) => (error ? reject(error) : resolve(pack))));
}

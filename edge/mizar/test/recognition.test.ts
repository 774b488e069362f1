import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mizar } from '@stardipper/proto';
import sharp from 'sharp';
import { type ClipOptions, putImkhHeader, renderClip, type Showing } from './support/clips';
import { hasPortraits, modelsFolder, portraits, TestMizar } from './support/mizar';

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
});

const isAt = (m: mizar.SightingMatch, s: Showing): boolean =>
  Math.hypot(m.box!.x + m.box!.width / 2 - s.at[0], m.box!.y + m.box!.height / 2 - s.at[1]) < s.facePx / 2;

function agentPack(agent: TestMizar): Promise<mizar.GetPackResponse> {
  return new Promise((resolve, reject) => agent.client.getPack({}, (error, pack) => (error ? reject(error) : resolve(pack))));
}
void putImkhHeader;

/** Choosing a pack: what is remembered, and how a running box follows. */
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDipper, eventually, TestBox } from './support/models-command';

let box: TestBox;
beforeAll(buildDipper, 240_000);
beforeEach(() => {
  box = new TestBox();
});
afterEach(() => box.close());

describe('switching', () => {
  const inUse = async () => {
    const { packs } = await box.list();
    return { inUse: packs.find((one) => one.inUse)?.id, previous: packs.find((one) => one.previous)?.id };
  };
  const worked = (): void => {
    const path = join(box.packs, 'in-use.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), works: true }));
  };

  test('keeps the last one that worked, and neither is removed without force', async () => {
    await box.install('a', 'b', 'c');
    expect(await box.models(['use', 'a', '--json'])).toMatchObject({ status: 0, stdout: '{"id":"a","outcome":"not_running"}\n' });
    worked();
    await box.models(['use', 'b']);
    expect(await inUse()).toEqual({ inUse: 'b', previous: 'a' });
    // b was never seen to work.
    await box.models(['use', 'c']);
    expect(await inUse()).toEqual({ inUse: 'c', previous: 'a' });
    expect(await box.models(['remove', 'c'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('pack.in_use {"id":"c","as":"in use"}'),
    });
    expect(await box.models(['remove', 'a'])).toMatchObject({ status: 1, stderr: expect.stringContaining('"as":"previous"') });
    expect(await box.models(['remove', 'b'])).toMatchObject({ status: 0 });
    expect(await box.models(['remove', 'b'])).toMatchObject({ status: 1, stderr: expect.stringContaining('pack.not_installed') });
    expect(await box.models(['remove', 'c', '--force'])).toMatchObject({ status: 0 });
    expect(await inUse()).toEqual({ inUse: 'a', previous: undefined });
    expect(await box.models(['remove', 'a', '--force'])).toMatchObject({ status: 0 });
    expect(box.inPacks()).toEqual([]);
  });

  test('to what is not there, or no longer good, changes nothing', async () => {
    await box.install('a', 'b');
    await box.models(['use', 'a']);
    for (const [id, code] of [
      ['nobody', 'pack.not_installed'],
      ['../a', 'pack.invalid'],
      ['b', 'pack.hash_mismatch'],
    ] as const) {
      if (id === 'b') appendFileSync(join(box.packs, 'b', 'detector.onnx'), 'rot');
      expect(await box.models(['use', id])).toMatchObject({ status: 1, stderr: expect.stringContaining(code) });
    }
    cpSync(join(box.packs, 'a'), join(box.packs, 'renamed'), { recursive: true });
    expect(await box.models(['use', 'renamed'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('pack.invalid {"field":"id"}'),
    });
    expect(await inUse()).toEqual({ inUse: 'a', previous: undefined });
  });

  test('says so when the settings or MIZAR_PACK name a pack, which wins', async () => {
    await box.install('a', 'b');
    const pinned = join(box.packs, 'b');
    expect(await box.models(['use', 'a'], { MIZAR_PACK: pinned })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('MIZAR_PACK names another pack and wins'),
    });
    writeFileSync(join(box.dataDir, 'dipper.json'), JSON.stringify({ pack: 'packs/b' }));
    expect(await box.models(['use', 'a'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('dipper.json names another pack and wins'),
    });
    expect((await box.list()).pinned).toEqual({ by: join(box.dataDir, 'dipper.json'), folder: pinned });
    expect(await box.models(['remove', 'b'])).toMatchObject({ status: 1, stderr: expect.stringContaining('pack.in_use') });
  });
});

describe('a running box', () => {
  interface Mizar {
    readonly state: string;
    readonly code: string;
    readonly pid: number;
    readonly detail: string;
  }
  async function mizar(): Promise<Mizar | undefined> {
    const { agents } = JSON.parse((await box.dipper(['status', '--json'])).stdout) as { agents: (Mizar & { agent: string })[] };
    return agents.find(({ agent }) => agent === 'mizar');
  }
  async function run(env: Record<string, string> = {}): Promise<void> {
    const child = box.start(['run', '--json'], { MIZAR_THREADS: '1', ...env });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  }

  test('works with the pack that is chosen, and goes back when it cannot', async () => {
    await run();
    expect(await mizar()).toMatchObject({ state: 'degraded', code: 'pack.missing' });
    await box.install('a', 'b');
    expect(await box.models(['use', 'a'])).toMatchObject({ status: 0, stdout: 'The box works with a.\n' });
    const first = await eventually('Mizar serves', async () => (await mizar())?.state === 'ok' && mizar());
    expect(await box.models(['use', 'a'])).toMatchObject({ status: 0 });
    expect(await mizar()).toMatchObject({ pid: first?.pid });
    expect(await box.models(['use', 'b', '--json'])).toMatchObject({ status: 0, stdout: '{"id":"b","outcome":"running"}\n' });
    expect(await box.list()).toMatchObject({
      inUse: 'b',
      packs: [
        { id: 'a', previous: true },
        { id: 'b', inUse: true },
      ],
    });
    await eventually('Mizar serves again', async () => (await mizar())?.state === 'ok');

    // A disk that loses a pack between the check and the start.
    appendFileSync(join(box.packs, 'b', 'detector.onnx'), 'rot');
    process.kill((await mizar())?.pid ?? 0, 'SIGKILL');
    const back = await eventually('Mizar is back', async () => {
      const now = await mizar();
      return now?.code === 'pack.rolled_back' && now;
    });
    expect(back).toMatchObject({ state: 'degraded', detail: expect.stringContaining('"code":"pack.hash_mismatch"') });
    expect(await box.list()).toMatchObject({ inUse: 'a', packs: [{ id: 'a' }, { id: 'b', problem: { code: 'pack.hash_mismatch' } }] });
    expect(readFileSync(join(box.dataDir, 'logs', 'mizar.log'), 'utf8')).toContain('going back to the pack before');
    expect(await box.models(['use', 'b'])).toMatchObject({ status: 1, stderr: expect.stringContaining('pack.hash_mismatch') });
    // Whoever accepts that says so, and the box is well again.
    expect(await box.models(['use', 'a'])).toMatchObject({ status: 0 });
    await eventually('Mizar is well', async () => (await mizar())?.state === 'ok');
  });

  test('that was started with MIZAR_PACK stays with it, and `use` says so', async () => {
    await box.install('a', 'b');
    await run({ MIZAR_PACK: join(box.packs, 'b') });
    const before = await mizar();
    expect(await box.models(['use', 'a', '--json'])).toMatchObject({ status: 0, stdout: '{"id":"a","outcome":"pinned"}\n' });
    expect(await mizar()).toMatchObject({ state: 'ok', pid: before?.pid });
  });
});

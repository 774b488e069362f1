/** The index follows the footage: against simulated neighbours over real gRPC. Real: SQLite, gRPC. */
import { AgentError } from '@dipper/platform';
import { CameraChannels } from '../src/camera-channels.store';
import { openBox } from './support/journal-box';
import type { Footage, SimCamera, SimRecorder } from './support/sim-box';
import { aCamera, eventually, Kit, minute } from './support/task-kit';

const dayMs = 86_400_000;
const today = Math.floor(Date.now() / dayMs);
const settings = { MERAK_FOLLOW_FOOTAGE_MS: '50' };

let kit: Kit;
afterEach(() => kit.stop());

/** A minute of footage at noon of each of these days before today. */
const noons = (...daysAgo: number[]): Footage[] =>
  daysAgo.map((ago) => ({ from: (today - ago + 0.5) * dayMs, to: (today - ago + 0.5) * dayMs + minute }));

const daysAgo = (cameraId: string): number[] => kit.sim.daysOf(cameraId).map((day) => today - day);

/** A box that has looked at all footage of its cameras. */
async function lookedAt(cameras: SimCamera[], recorders?: SimRecorder[]): Promise<void> {
  kit = await Kit.start(cameras, settings, recorders);
  await kit.run({ range: { from: (today - 20) * dayMs, to: today * dayMs } });
}

/** Waits until each camera has been seen to once more. */
async function followed(): Promise<void> {
  const rounds = kit.sim.calls.listIndexedCameras;
  await eventually('two more rounds', () => kit.sim.calls.listIndexedCameras >= rounds + 2);
}

test('days whose footage is overwritten are forgotten; the day on which it now begins stays, and so does every other camera', async () => {
  const camera = aCamera({ id: 'cam-1', footage: noons(9, 5, 4, 3, 1) });
  await lookedAt([camera, aCamera({ id: 'cam-2', footage: noons(9, 3) })]);
  await followed();
  expect(kit.sim.calls.forgetFootage).toBe(0);
  // What holds no footage is passed over a day at a time.
  kit.sim.lists = (page, { fromMs, toMs }) => {
    const until = Math.min(toMs, fromMs + dayMs);
    return (page.segments[0]?.fromMs ?? toMs) < until ? page : { segments: [], listedUntilMs: until };
  };
  const [first, ...rest] = noons(4, 3, 1);
  camera.footage = [{ from: first!.from + minute / 2, to: first!.to }, ...rest];
  await eventually('forgotten', () => daysAgo('cam-1').length === 3);
  expect(daysAgo('cam-1')).toEqual([4, 3, 1]);
  expect(daysAgo('cam-2')).toEqual([9, 3]);
  await followed();
  expect(kit.sim.calls.forgetFootage).toBe(1);
});

test('whose a camera is stays known when its tasks are long forgotten, also after a restart', async () => {
  const camera = aCamera({ id: 'cam-1', footage: noons(5, 1) });
  kit = await Kit.start([camera], { MERAK_KEEP_DAYS: '0' });
  await kit.run({ range: { from: (today - 20) * dayMs, to: today * dayMs } });
  await eventually('tasks forgotten', () => kit.count('tasks') === 0);
  await kit.stopMerak();
  Object.assign(kit.settings, settings);
  camera.footage = noons(1);
  await kit.startMerak();
  await eventually('forgotten', () => daysAgo('cam-1').length === 1);
  expect(daysAgo('cam-1')).toEqual([1]);
});

test('where a recorder lists nothing at all every day that is over goes', async () => {
  const now = Date.now();
  const camera = aCamera({ id: 'cam-1', footage: [...noons(5, 1), { from: now - 2 * minute, to: now - minute }] });
  kit = await Kit.start([camera], settings);
  await kit.run({ range: { from: (today - 20) * dayMs, to: now - minute } });
  const dayOfLast = Math.floor((now - 2 * minute) / dayMs);
  camera.footage = [];
  await eventually('forgotten', () => kit.sim.daysOf('cam-1').length <= 1);
  expect(kit.sim.daysOf('cam-1').every((day) => day === dayOfLast)).toBe(true);
});

const doubts: [string, () => void][] = [
  ['cannot be reached', () => Object.assign(kit.sim.recorders[0]!, { away: true })],
  ['is unknown', () => kit.sim.recorders.shift()],
  [
    'fails to list',
    () => {
      kit.sim.fault = (call, { recorderId }) => {
        if (call === 'listSegments' && recorderId === 'nvr-1') throw new AgentError('recorder.no_answer', 'timeout');
      };
    },
  ],
  [
    'lists and gets nowhere',
    () => {
      kit.sim.lists = (page, { recorderId, fromMs }) => (recorderId === 'nvr-1' ? { segments: [], listedUntilMs: fromMs } : page);
    },
  ],
  [
    'lists another channel',
    () => {
      kit.sim.lists = (page) => ({
        ...page,
        segments: page.segments.map((s) => ({ ...s, channel: s.recorderId === 'nvr-1' ? 77 : s.channel })),
      });
    },
  ],
  [
    'lists what it was not asked for',
    () => {
      kit.sim.lists = (page, { fromMs }) => ({
        ...page,
        segments: page.segments.map((s) => (s.recorderId === 'nvr-1' ? { ...s, fromMs: fromMs - 2, toMs: fromMs - 1 } : s)),
      });
    },
  ],
  [
    'lists while Mizar starts again',
    () => {
      kit.sim.fault = (call, { cameraId }) => {
        if (call === 'forgetFootage' && cameraId === 'cam-1') throw new AgentError('agent.unavailable', 'unavailable');
      };
    },
  ],
];

test.each(doubts)('a recorder that %s: nothing of it is forgotten, of others it is, and of it when it is well again', async (_, doubt) => {
  const cameras = ['nvr-1', 'nvr-2'].map((recorderId, i) => aCamera({ id: `cam-${i + 1}`, recorderId, footage: noons(9, 5, 1) }));
  await lookedAt(cameras);
  const well = kit.sim.recorders.map((recorder) => ({ ...recorder }));
  doubt();
  for (const camera of cameras) camera.footage = noons(5, 1);
  await eventually('forgotten', () => daysAgo('cam-2').length === 2);
  await followed();
  expect(daysAgo('cam-1')).toEqual([9, 5, 1]);
  kit.sim.fault = () => {};
  kit.sim.lists = (page) => page;
  kit.sim.recorders.splice(0, 2, ...well);
  await eventually('forgotten', () => daysAgo('cam-1').length === 2);
});

test.each([-3, 3])('with the clocks of box and recorder %d days apart footage may have begun that much earlier', async (days) => {
  const camera = aCamera({ id: 'cam-1', footage: noons(19, 11, 9, 8, 1) });
  const recorder: SimRecorder = { id: 'nvr-1', maxSessions: 2 };
  await lookedAt([camera], [recorder]);
  recorder.clockOffsetMs = days * dayMs;
  // Begins nine days ago, and is listed three days late.
  camera.footage = noons(6, 5);
  await eventually('forgotten', () => daysAgo('cam-1').length === 3);
  await followed();
  expect(daysAgo('cam-1')).toEqual([9, 8, 1]);
  recorder.clockOffsetMs = 1000 * days * dayMs;
  camera.footage = [];
  await followed();
  expect(daysAgo('cam-1')).toEqual([9, 8, 1]);
  recorder.clockOffsetMs = 0;
  await eventually('forgotten', () => daysAgo('cam-1').length === 0);
});

test('a camera is whose the last task said; one that is not in the index is dropped when no task has named it for long', async () => {
  kit = await Kit.start([aCamera({ id: 'cam-1', footage: noons(5) }), aCamera({ id: 'cam-2', footage: [] })]);
  const range = { from: (today - 6) * dayMs, to: today * dayMs };
  await kit.run({ range });
  await kit.run({ range, cameras: [{ id: 'cam-1', recorderId: 'nvr-9', channel: 7 }] });
  await kit.stopMerak();
  const { db } = openBox(kit.dataDir);
  const channels = new CameraChannels(db);
  expect(channels.find('cam-1')).toEqual({ recorderId: 'nvr-9', channel: 7 });
  channels.keepOnly(['cam-1'], Date.now() - dayMs);
  expect(channels.find('cam-2')).toEqual({ recorderId: 'nvr-1', channel: 2 });
  channels.keepOnly(['cam-1'], Date.now() + 1);
  expect([channels.find('cam-1')?.channel, channels.find('cam-2')]).toEqual([7, undefined]);
  db.close();
});

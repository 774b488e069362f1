import type { mizar, Span, TaskCamera } from '@stardipper/proto';
import type { CameraChannels } from './camera-channels.store';
import type { Turn } from './fair-gate';
import { listingForeign, listingStuck, recorderAway } from './merak.errors';
import type { SearchBox } from './search-box';

type Channel = Omit<TaskCamera, 'id'>;

const dayMs = 86_400_000;
/** Recorders come back one after the other when the power does. */
const firstAfterMs = 5 * 60_000;
/** Alioth passes a month without footage in one page. What goes on for longer than years is no listing. */
const maxPages = 100;
/** A task that named a camera has ended by then: what it looked at is in Mizar's list. */
const namedForMs = 30 * dayMs;

/** Every few hours until `signal` aborts, the first time some minutes after the start. Never rejects. */
export async function followFootage(box: SearchBox, channels: CameraChannels, signal: AbortSignal): Promise<void> {
  const { clock, settings, log } = box;
  await clock.sleep(Math.min(firstAfterMs, settings.followFootageMs), signal);
  while (!signal.aborted) {
    await followOnce(box, channels, signal).catch((error: unknown) => {
      if (!signal.aborted) log.warn({ err: error }, 'footage not followed; tried again later');
    });
    await clock.sleep(settings.followFootageMs, signal);
  }
}

/**
 * Has Mizar forget the days of each camera whose footage its recorder has overwritten. Where anything is in doubt nothing
 * is forgotten: faces are kept for so many days and no longer anyway. One listing at a time, as the least urgent.
 *
 * A task loses nothing by it. What it has looked at lies on a day that has footage, and such a day stays whole; when the
 * recorder overwrites the last of it meanwhile, the sightings stay for an hour, and a task asks for them as soon as it
 * has been told that there are any. What it stores afterwards counts.
 */
async function followOnce(box: SearchBox, channels: CameraChannels, signal: AbortSignal): Promise<void> {
  const indexed = await box.neighbours.listIndexedCameras(signal);
  let days = 0;
  const failed: unknown[] = [];
  for (const camera of indexed) {
    const channel = channels.find(camera.cameraId);
    if (!channel) continue;
    try {
      days += await followCamera(box, camera, channel, signal);
    } catch (error) {
      signal.throwIfAborted();
      failed.push(error);
    }
  }
  if (days > 0) box.log.info({ days }, 'footage is gone; faces follow');
  channels.keepOnly(
    indexed.map(({ cameraId }) => cameraId),
    box.clock.now() - namedForMs,
  );
  if (failed.length > 0) throw new AggregateError(failed.slice(0, 3), `${failed.length} cameras`);
}

/** Answers how many days were forgotten. */
async function followCamera(
  box: SearchBox,
  { cameraId, oldestMs }: mizar.IndexedCamera,
  channel: Channel,
  signal: AbortSignal,
): Promise<number> {
  // Taken once: what is recorded while it is listed is later.
  const now = box.clock.now();
  const doubt = await clockDoubtMs(box, channel, signal);
  const oldestEnds = oldestMs + dayMs;
  if (!(oldestEnds <= now - doubt)) return 0;
  const from = Math.max(0, oldestMs - doubt);
  const begins = await firstFootage(box, cameraId, channel, { from, to: now }, signal);
  const beforeMs = begins - Math.max(doubt, await clockDoubtMs(box, channel, signal));
  return oldestEnds <= beforeMs ? box.neighbours.forgetFootage({ cameraId, beforeMs }, signal) : 0;
}

/**
 * By how much footage may be listed too early or too late. Alioth takes the difference of the clocks out of what it
 * lists, as it was when it last looked; where this box's clock or the recorder's has leapt, it is as wide as the leap.
 */
async function clockDoubtMs(box: SearchBox, { recorderId }: Channel, signal: AbortSignal): Promise<number> {
  const recorders = await box.neighbours.listRecorders(signal);
  const recorder = recorders.find((one) => one.recorderId === recorderId);
  if (!recorder?.reachable) throw recorderAway(recorderId);
  return Math.abs(recorder.clockOffsetMs);
}

/** Where the first footage of the range begins, or the range's end. Throws for a listing that proves nothing. */
async function firstFootage(box: SearchBox, cameraId: string, channel: Channel, range: Span, signal: AbortSignal): Promise<number> {
  const { recorderId } = channel;
  const turn: Turn = { taskId: 'footage', priority: 6, order: Number.MAX_SAFE_INTEGER, camera: cameraId };
  let at = range.from;
  for (let page = 0; page < maxPages; page += 1) {
    const leave = await box.recorders.recorder(recorderId).listings.enter(turn, signal);
    const request = { ...channel, fromMs: at, toMs: range.to, pageSize: 1, priority: turn.priority };
    const listed = await box.neighbours.listSegments(request, signal).finally(leave);
    const until = Math.min(listed.listedUntilMs, range.to);
    if (!(until > at)) throw listingStuck();
    if (!listed.segments.every((s) => s.recorderId === recorderId && s.channel === channel.channel)) throw listingForeign();
    if (listed.segments.length > 0) return Math.min(until, ...listed.segments.map((s) => s.fromMs));
    if (until === range.to) return until;
    at = until;
  }
  throw listingStuck();
}

import type { IsapiClient } from './isapi-client';
import { labelOf, type RecorderTime } from './recorder-time';
import { newSearchId, searchPage } from './search-request';

const RECENT_MS = 2 * 60_000;
const MAX_CHANNELS_ASKED = 4;

export interface TimeModeFound {
  readonly mode: 'local' | 'utc';
  /** False: it could also be a camera that stopped recording as long ago as the zone is wide; the next look tells. */
  readonly sure: boolean;
}

/**
 * Whether this recorder's labels are its wall clock or UTC; undefined when its footage does not tell. Footage from the
 * future cannot be: a label later than "now" in one reading proves the other. East of Greenwich UTC labels can never
 * be proved so; there, footage beside "now" in UTC and none since is a strong sign. Without footage from these minutes
 * nothing can be said, and the wall clock, the usual case, is assumed.
 */
export async function findTimeMode(
  client: IsapiClient,
  channels: readonly number[],
  readings: { local: RecorderTime; utc: RecorderTime },
  nowMs: number,
  signal?: AbortSignal,
): Promise<TimeModeFound | undefined> {
  const [local, utc] = [labelOf(readings.local, nowMs), labelOf(readings.utc, nowMs)];
  if (Math.abs(local - utc) < 3 * RECENT_MS) return undefined;
  const has = async (channel: number, from: number, to: number): Promise<boolean> => {
    const query = { searchId: newSearchId(), channel, from: seconds(from), to: seconds(to), position: 0, max: 1 };
    return (await searchPage(client, query, signal)).matches.length > 0;
  };
  const asked = channels.slice(0, MAX_CHANNELS_ASKED);
  const [earlier, later] = local < utc ? [local, utc] : [utc, local];
  for (const channel of asked) {
    if (await has(channel, earlier + RECENT_MS, later + RECENT_MS)) return { mode: local < utc ? 'utc' : 'local', sure: true };
  }
  if (local < utc) return undefined;
  for (const channel of asked) if (await has(channel, utc - RECENT_MS, utc)) return { mode: 'utc', sure: false };
  return undefined;
}

const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

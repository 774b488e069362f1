import type { IsapiClient } from './isapi-client';
import { labelOf, type RecorderTime } from './recorder-time';
import { newSearchId, searchPage } from './search-request';

const RECENT_MS = 2 * 60_000;
const MAX_CHANNELS_ASKED = 4;

/**
 * Whether this recorder's labels are its wall clock or UTC; undefined when its footage does not tell. Footage from
 * the future cannot be, so a camera that records now decides: its last footage lies beside "now" in one of the two
 * readings, and in the other there is nothing later. Without footage from these minutes nothing can be said, and
 * wall clock, the usual case, is assumed.
 */
export async function findTimeMode(
  client: IsapiClient,
  channels: readonly number[],
  readings: { local: RecorderTime; utc: RecorderTime },
  nowMs: number,
  signal?: AbortSignal,
): Promise<'local' | 'utc' | undefined> {
  const [local, utc] = [labelOf(readings.local, nowMs), labelOf(readings.utc, nowMs)];
  if (Math.abs(local - utc) < 3 * RECENT_MS) return undefined;
  const has = async (channel: number, from: number, to: number): Promise<boolean> =>
    (await searchPage(client, { searchId: newSearchId(), channel, from: seconds(from), to: seconds(to), position: 0, max: 1 }, signal))
      .matches.length > 0;
  for (const channel of channels.slice(0, MAX_CHANNELS_ASKED)) {
    if (local > utc) {
      if (await has(channel, utc + RECENT_MS, local + RECENT_MS)) return 'local';
      if (await has(channel, utc - RECENT_MS, utc)) return 'utc';
    } else {
      if (await has(channel, local + RECENT_MS, utc + RECENT_MS)) return 'utc';
      if (await has(channel, local - RECENT_MS, local)) return 'local';
    }
  }
  return undefined;
}

const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig, escapeIdentifier } from 'pg';
import type { Log } from './open-database';

/** A silent connection is asked for a sign of life this often: a firewall may drop it without a word. */
const heartbeatMs = 20_000;

/** See `Database.listen`. */
export function listenForever(
  settings: ClientConfig,
  channel: string,
  onNotify: (payload: string) => void,
  signal: AbortSignal,
  log?: Log,
): Promise<void> {
  return new Promise((established) => {
    const run = async () => {
      let stood = false;
      for (let failures = 0; !signal.aborted; ) {
        try {
          await listenOnce(settings, channel, onNotify, signal, () => {
            failures = 0;
            if (stood) onNotify('');
            stood = true;
            established();
          });
        } catch (error) {
          if (signal.aborted) break;
          log?.warn({ err: error, channel }, 'a LISTEN broke and is set up again');
          await sleep(Math.min(5000, 50 * 2 ** failures++), undefined, { signal }).catch(() => {});
        }
      }
      established();
    };
    void run();
  });
}

async function listenOnce(
  settings: ClientConfig,
  channel: string,
  onNotify: (payload: string) => void,
  signal: AbortSignal,
  onStanding: () => void,
): Promise<void> {
  const client = new Client({ ...settings, query_timeout: heartbeatMs });
  let broken: unknown;
  const awake = new AbortController();
  const wake = (error: unknown) => {
    broken ??= error;
    awake.abort();
  };
  client.on('error', wake);
  client.on('end', () => wake(new Error('the connection ended')));
  const stop = () => void client.end().catch(() => {});
  try {
    await client.connect();
    if (signal.aborted) return;
    signal.addEventListener('abort', stop, { once: true });
    client.on('notification', (message) => onNotify(message.payload ?? ''));
    await client.query(`LISTEN ${escapeIdentifier(channel)}`);
    onStanding();
    while (!signal.aborted) {
      // `end` also comes when the signal aborts, so the pause never delays a shutdown.
      await sleep(heartbeatMs, undefined, { signal: awake.signal }).catch(() => {});
      if (broken) throw broken;
      await client.query('SELECT 1');
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}

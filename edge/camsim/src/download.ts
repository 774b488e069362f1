import { createReadStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Faults } from './faults';

/** In front of the stream on some firmware: 40 bytes that ffmpeg skips. */
const imkh = Buffer.concat([Buffer.from('IMKH'), Buffer.from('0101000002000000', 'hex'), Buffer.alloc(28)]);

/** A pack header and padding: MPEG-PS without a stream. */
function psWithoutVideo(): Buffer {
  const pack = Buffer.from('000001ba440004000401000003f8', 'hex');
  const padding = Buffer.concat([Buffer.from('000001be07f8', 'hex'), Buffer.alloc(0x7f8, 0xff)]);
  return Buffer.concat(Array.from({ length: 20 }, () => Buffer.concat([pack, padding])));
}

export const oddBodies: Readonly<Record<'no_video' | 'empty' | 'garbage', () => Buffer>> = {
  no_video: psWithoutVideo,
  empty: () => Buffer.alloc(0),
  garbage: () => Buffer.from('not a video at all. '.repeat(500)),
};

export interface SendOptions {
  readonly path: string;
  readonly bytes: number;
  readonly faults: Faults;
  readonly resetAfter: number | undefined;
  readonly stallAfter: number | undefined;
  readonly sent: (bytes: number) => void;
}

/** Sends a file as recorders do: whole, whatever part was asked for, and with everything that goes wrong on the way. */
export async function sendFile(
  response: ServerResponse,
  { path, bytes, faults, resetAfter, stallAfter, sent }: SendOptions,
): Promise<void> {
  const length = Math.floor(bytes * faults.truncateTo);
  const head = faults.imkh ? imkh : Buffer.alloc(0);
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    ...(faults.contentLength ? { 'content-length': head.length + length } : {}),
  });
  if (head.length > 0) response.write(head);
  if (length === 0) {
    response.end();
    return;
  }
  const stop = Math.min(resetAfter ?? length, stallAfter ?? length, length);
  const rate = faults.trickleBytesPerSecond;
  const chunkBytes = rate > 0 ? Math.max(512, Math.floor(rate / 10)) : 256 * 1024;
  if (stop > 0) {
    let done = 0;
    for await (const chunk of createReadStream(path, { end: stop - 1, highWaterMark: chunkBytes })) {
      const buffer = chunk as Buffer;
      if (rate > 0) await sleep((buffer.length * 1000) / rate);
      if (response.destroyed) return;
      sent(buffer.length);
      done += buffer.length;
      if (done === length) {
        // With the last bytes, so that a client never has the whole file while its session here is still counted.
        response.end(buffer);
        return;
      }
      if (!response.write(buffer)) await writable(response);
    }
  }
  if (response.destroyed) return;
  if (resetAfter !== undefined && resetAfter < length) {
    // What was written must be on its way before the connection is cut.
    await sleep(20);
    response.socket?.resetAndDestroy();
    return;
  }
}

const writable = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });

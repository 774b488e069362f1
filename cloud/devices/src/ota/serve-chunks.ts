import type { Database, Objects } from '@star/platform';
import { objectKeys } from '@stardipper/proto';
import type { EdgeIdentity } from '../edges/edge';
import { BadPayload } from '../hub/payloads';
import { findAssignment } from './assignment.store';

/** A package as a session serves it. */
export interface SoftwareImage {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface SoftwareSource {
  /** What the edge is to have; undefined when that is nothing. */
  open(edge: EdgeIdentity): Promise<SoftwareImage | undefined>;
  /** Undefined when it was deleted. */
  read(edge: EdgeIdentity, image: SoftwareImage, start: number, bytes: number): Promise<Buffer | undefined>;
}

/** Chunks being read for all sessions of a hub: 64 KB each. */
const maxReadsAtOnce = 32;

export function createSoftwareSource({ db, objects }: { db: Database; objects: Pick<Objects, 'getRange'> }): SoftwareSource {
  let reading = 0;
  const waiting: (() => void)[] = [];
  return {
    open: async ({ tenantId }) => {
      const row = await db.tenant(tenantId, findAssignment);
      return row && { key: objectKeys.software(tenantId, row.id), sizeBytes: row.size_bytes };
    },
    read: async ({ tenantId }, { key }, start, bytes) => {
      if (reading >= maxReadsAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
      else reading++;
      try {
        return await objects.getRange(tenantId, key, start, bytes);
      } finally {
        // The place goes on to whoever waits.
        const next = waiting.shift();
        if (next) next();
        else reading--;
      }
    },
  };
}

/** ThingsBoard's words on `v2/fw/error`; the connection closes after each. */
export type ChunkError = 'NOT_FOUND' | 'PAYLOAD_TOO_LARGE';

/** What a request's payload says of the size of chunks; undefined when it says nothing. Throws BadPayload. */
export function readChunkSize(payload: Buffer | string): number | undefined {
  const text = payload.length > 10 ? 'too long' : payload.toString();
  if (!/^\d*$/.test(text)) throw new BadPayload('a chunk size is a decimal number');
  return text === '' ? undefined : Number(text);
}

/** A session's downloads that are remembered; a box needs one. */
const maxRemembered = 4;
/** Requests of one session in work; beyond it, the socket is not read. */
const maxWaiting = 16;

/**
 * The downloads of one session. A request id keeps the package it began with until chunk 0 is asked for again, so the
 * bytes of two packages never get mixed when the assignment changes in the middle.
 */
export class ChunkRequests {
  readonly #downloads = new Map<number, { image: SoftwareImage | undefined; chunkBytes: number }>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(
    private readonly edge: EdgeIdentity,
    private readonly source: SoftwareSource,
    private readonly maxChunkBytes: number,
  ) {}

  get full(): boolean {
    return this.#waiting >= maxWaiting;
  }

  /** The bytes, none past the end; one after another, in the order of the calls. Rejects with what database and storage throw. */
  chunk(requestId: number, index: number, asked: number | undefined): Promise<Buffer | ChunkError> {
    this.#waiting++;
    const answer = this.#last.then(() => this.#read(requestId, index, asked));
    this.#last = answer.catch(() => undefined);
    return answer.finally(() => {
      this.#waiting--;
    });
  }

  async #read(requestId: number, index: number, asked: number | undefined): Promise<Buffer | ChunkError> {
    const known = this.#downloads.get(requestId);
    const image = known?.image && index > 0 ? known.image : await this.source.open(this.edge);
    const chunkBytes = asked ?? known?.chunkBytes ?? 0;
    this.#remember(requestId, { image, chunkBytes });
    if (!image) return 'NOT_FOUND';
    if ((chunkBytes || image.sizeBytes) > this.maxChunkBytes) return 'PAYLOAD_TOO_LARGE';
    // Without a size, the whole is the one chunk there is.
    const start = index * (chunkBytes || image.sizeBytes);
    if (start >= image.sizeBytes) return Buffer.alloc(0);
    return (await this.source.read(this.edge, image, start, chunkBytes || image.sizeBytes)) ?? 'NOT_FOUND';
  }

  #remember(requestId: number, download: { image: SoftwareImage | undefined; chunkBytes: number }): void {
    this.#downloads.delete(requestId);
    this.#downloads.set(requestId, download);
    const oldest = this.#downloads.keys().next().value;
    if (this.#downloads.size > maxRemembered && oldest !== undefined) this.#downloads.delete(oldest);
  }
}

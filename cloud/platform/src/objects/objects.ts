import type { Readable } from 'node:stream';
import { defineErrors } from '../errors/app-error';

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly contentType: string;
}

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was put. */
  readonly putAt: Date;
}

export interface PutOptions {
  /** Larger ones are `object.too_large`; the store's own limit unless told. */
  readonly maxBytes?: number;
}

/** Object storage. Keys are `{tenantId}/…`; every call names the tenant and a key of another tenant is refused. */
export interface Objects {
  /** Durable and whole when it resolves; replaces what was there in one step. */
  put(tenantId: string, key: string, body: Buffer | Readable, contentType: string, options?: PutOptions): Promise<void>;
  /** The caller reads `body` to its end or destroys it. */
  get(tenantId: string, key: string): Promise<{ info: ObjectInfo; body: Readable } | undefined>;
  head(tenantId: string, key: string): Promise<ObjectInfo | undefined>;
  /** `bytes` bytes from `start`, fewer where the object ends, none past its end; undefined when there is no such object. All in memory: for small ranges. */
  getRange(tenantId: string, key: string, start: number, bytes: number): Promise<Buffer | undefined>;
  /** Nothing happens when there is none. */
  delete(tenantId: string, key: string): Promise<void>;
  /** What lies under `{tenantId}/{part}/`, or all of the tenant's; in no order; what comes or goes meanwhile may be missed. Memory is flat. */
  list(tenantId: string, part?: string): AsyncIterable<ListedObject>;
  /** Everything under the tenant's prefix; answers how many there were. What is uploaded meanwhile may stay: call it again. */
  deleteAll(tenantId: string): Promise<number>;
  /** An address that allows exactly this verb on exactly this key until it expires. */
  signedUrl(
    tenantId: string,
    key: string,
    verb: 'GET' | 'PUT',
    options: { expiresInS: number; maxBytes?: number; contentType?: string },
  ): Promise<string>;
}

export const objectErrors = defineErrors({
  'object.key_invalid': 'invalid',
  'object.content_type_invalid': 'invalid',
  'object.incomplete': 'invalid',
  'object.too_large': 'too_large',
  'object.signature_invalid': 'forbidden',
  'object.expired': 'forbidden',
  'object.not_found': 'not_found',
});

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Starts with a letter or digit, so neither `..` nor a hidden file; `.object` is the disk's own ending. */
const segment = /^[A-Za-z0-9][A-Za-z0-9._=-]{0,127}$/;

/** For calls that name a tenant and no key. */
export function requireTenant(tenantId: string): void {
  if (!uuid.test(tenantId)) throw objectErrors.error('object.key_invalid');
}

/** S3 allows 1024 bytes; a path on disk 4096 with 255 per part. 2 to 10 parts, the first the tenant. */
export function requireKey(tenantId: string, key: string): void {
  const [owner, ...rest] = key.length <= 512 ? key.split('/') : [];
  const whole =
    uuid.test(owner ?? '') && rest.length > 0 && rest.length < 10 && rest.every((part) => segment.test(part) && !part.endsWith('.object'));
  if (!whole || owner !== tenantId) throw objectErrors.error('object.key_invalid');
}

/** `type/subtype` with plain parameters; it goes into a header as it is. */
export function requireContentType(contentType: string): void {
  if (contentType.length > 100 || !/^[\w.+-]+\/[\w.+-]+(; ?[\w-]+=[\w.-]+)*$/.test(contentType)) {
    throw objectErrors.error('object.content_type_invalid');
  }
}

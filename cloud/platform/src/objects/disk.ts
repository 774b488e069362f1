import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type ObjectFiles, type ObjectSealing, openObjectFiles } from './object-files';
import { type Objects, objectErrors, requireContentType, requireKey, requireTenant } from './objects';
import { readGrant, signedPath } from './signature';
import type { OpenObject } from './stored-file';

export interface DiskObjectsOptions {
  /** Belongs to this storage alone; made when missing. */
  readonly folder: string;
  /** Signs addresses; at least 32 characters, the same on every replica. */
  readonly secret: string;
  /** Where boxes and browsers reach `/objects/…`, without a slash at the end. */
  readonly publicUrl: string;
  /** Seals what is stored; without it objects lie there as they came. */
  readonly sealing?: ObjectSealing;
  /** No object is larger; 64 MiB unless told. */
  readonly maxBytes?: number;
  readonly nowMs?: () => number;
}

export interface ObjectRequest {
  readonly method: string;
  /** Path and query as they came in, not decoded. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

export interface ObjectAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Readable;
}

export interface DiskObjects extends Objects {
  /** Answers a request to `/objects/…`; throws AppErrors. Whoever calls it must read or destroy the answer's body. */
  serve(request: ObjectRequest): Promise<ObjectAnswer>;
  /** See ObjectFiles. */
  sealOld: ObjectFiles['sealOld'];
}

const defaultMaxBytes = 64 * 1024 * 1024;
/** A week, as S3. */
const longestGrantS = 604_800;

/** Objects on a folder, for one machine or a shared file system. */
export async function openDiskObjects(options: DiskObjectsOptions): Promise<DiskObjects> {
  if (options.secret.length < 32) throw new RangeError('the secret of the object storage is shorter than 32 characters');
  const files = await openObjectFiles(options.folder, options.sealing);
  const nowMs = options.nowMs ?? Date.now;
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  const opened = async (tenantId: string, key: string) => {
    requireKey(tenantId, key);
    const object = await files.open(key);
    return object && { object, info: { key, sizeBytes: object.sizeBytes, contentType: object.contentType } };
  };
  return {
    put: async (tenantId, key, body, contentType, { maxBytes: limit = maxBytes } = {}) => {
      requireKey(tenantId, key);
      requireContentType(contentType);
      await files.write(key, body, contentType, { maxBytes: limit });
    },
    get: async (tenantId, key) => {
      const found = await opened(tenantId, key);
      return found && { info: found.info, body: found.object.read() };
    },
    getRange: async (tenantId, key, start, bytes) => {
      const found = await opened(tenantId, key);
      return found?.object.readRange(start, bytes).finally(() => found.object.close());
    },
    head: async (tenantId, key) => {
      requireKey(tenantId, key);
      const found = await files.describe(key);
      return found && { key, ...found };
    },
    delete: async (tenantId, key) => {
      requireKey(tenantId, key);
      await files.delete(key);
    },
    list: (tenantId, part) => {
      if (part === undefined) requireTenant(tenantId);
      else requireKey(tenantId, `${tenantId}/${part}`);
      return files.list(part === undefined ? tenantId : `${tenantId}/${part}`);
    },
    deleteAll: async (tenantId) => {
      requireTenant(tenantId);
      return files.deleteUnder(tenantId);
    },
    signedUrl: async (tenantId, key, verb, { expiresInS, maxBytes: limit, contentType }) => {
      requireKey(tenantId, key);
      if (contentType !== undefined) requireContentType(contentType);
      if (!(expiresInS > 0 && expiresInS <= longestGrantS)) throw new RangeError('a signed address lives between a second and a week');
      const expiresAtS = Math.floor(nowMs() / 1000 + expiresInS);
      const grant = {
        verb,
        key,
        expiresAtS,
        ...(limit === undefined ? {} : { maxBytes: limit }),
        ...(contentType === undefined ? {} : { contentType }),
      };
      return `${options.publicUrl}${signedPath(grant, options.secret)}`;
    },
    serve: async (request) => {
      const [path, query] = splitUrl(request.url);
      const grant = readGrant(request.method, path, new URLSearchParams(query), options.secret, nowMs());
      // Signed keys were valid when they were signed; a rule that has become stricter since applies as well.
      requireKey(grant.key.split('/')[0]!, grant.key);
      if (grant.verb === 'PUT') {
        return receive(files, grant.key, request, Math.min(grant.maxBytes ?? maxBytes, maxBytes), grant.contentType);
      }
      const object = await files.open(grant.key);
      if (!object) throw objectErrors.error('object.not_found');
      return answer(object, request);
    },
    sealOld: files.sealOld,
  };
}

function splitUrl(url: string): [path: string, query: string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}

const header = (request: ObjectRequest, name: string) => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

async function receive(
  files: ObjectFiles,
  key: string,
  request: ObjectRequest,
  maxBytes: number,
  signedType?: string,
): Promise<ObjectAnswer> {
  const contentType = header(request, 'content-type') ?? 'application/octet-stream';
  requireContentType(contentType);
  if (signedType !== undefined && contentType !== signedType)
    throw objectErrors.error('object.content_type_invalid', { expected: signedType });
  const length = header(request, 'content-length');
  // Refused before the first byte where the sender says how much it is; counted while it comes in all the same.
  if (length !== undefined && Number(length) > maxBytes) throw objectErrors.error('object.too_large', { maxBytes });
  await files.write(key, request.body, contentType, { maxBytes, ...(length === undefined ? {} : { exactBytes: Number(length) }) });
  return { status: 204, headers: {} };
}

async function answer(object: OpenObject, request: ObjectRequest): Promise<ObjectAnswer> {
  const etag = `"${createHash('sha256').update(`${object.sizeBytes}.${object.modifiedAtMs}`).digest('base64url').slice(0, 20)}"`;
  const headers = {
    'content-type': object.contentType,
    'accept-ranges': 'bytes',
    etag,
    'cache-control': 'private, max-age=300',
    // What a box uploads is shown from our own address: it must never run as a page of ours.
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
  };
  if (header(request, 'if-none-match') === etag) {
    await object.close();
    return { status: 304, headers };
  }
  const range = byteRange(header(request, 'range'), object.sizeBytes);
  if (range === 'unsatisfiable') {
    await object.close();
    return { status: 416, headers: { 'content-range': `bytes */${object.sizeBytes}` } };
  }
  const { start, end } = range ?? { start: 0, end: object.sizeBytes - 1 };
  const partial: Record<string, string> = range ? { 'content-range': `bytes ${start}-${end}/${object.sizeBytes}` } : {};
  const whole = { ...headers, ...partial, 'content-length': String(end - start + 1) };
  const status = range ? 206 : 200;
  if (request.method === 'HEAD') {
    await object.close();
    return { status, headers: whole };
  }
  return { status, headers: whole, body: object.read(start, end) };
}

/** RFC 9110: one range only; a header that is not understood, or asks for several, is ignored. */
function byteRange(value: string | undefined, sizeBytes: number): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(value ?? '');
  const [, first, last] = match ?? [];
  if (!match || (first === '' && last === '')) return undefined;
  if (first === '')
    return Number(last) === 0 || sizeBytes === 0 ? 'unsatisfiable' : { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes - 1 };
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= sizeBytes ? 'unsatisfiable' : { start, end };
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { objectErrors } from './objects';

/** What a signed address allows. */
export interface Grant {
  readonly verb: 'GET' | 'PUT';
  readonly key: string;
  /** Unix seconds. */
  readonly expiresAtS: number;
  readonly maxBytes?: number;
  readonly contentType?: string;
}

/** JSON of an array, so that no value can run over into the next one's place. */
const sign = (grant: Grant, secret: string) =>
  createHmac('sha256', secret)
    .update(JSON.stringify(['star-objects-1', grant.verb, grant.key, grant.expiresAtS, grant.maxBytes ?? null, grant.contentType ?? null]))
    .digest('base64url');

export function signedPath(grant: Grant, secret: string): string {
  const query = new URLSearchParams({ verb: grant.verb, expires: String(grant.expiresAtS) });
  if (grant.maxBytes !== undefined) query.set('max', String(grant.maxBytes));
  if (grant.contentType !== undefined) query.set('type', grant.contentType);
  query.set('signature', sign(grant, secret));
  return `/objects/${grant.key}?${query}`;
}

/** The grant behind an address, or `object.signature_invalid` / `object.expired`. A GET grant covers HEAD. */
export function readGrant(method: string, path: string, query: URLSearchParams, secret: string, nowMs: number): Grant {
  const verb = query.get('verb');
  const expires = query.get('expires') ?? '';
  const max = query.get('max');
  const asked = method === 'HEAD' ? 'GET' : method;
  if ((verb !== 'GET' && verb !== 'PUT') || verb !== asked || !/^\d{1,12}$/.test(expires) || !(max === null || /^\d{1,15}$/.test(max))) {
    throw objectErrors.error('object.signature_invalid');
  }
  const grant: Grant = {
    verb,
    key: path.replace(/^\/objects\//, ''),
    expiresAtS: Number(expires),
    ...(max === null ? {} : { maxBytes: Number(max) }),
    ...(query.get('type') === null ? {} : { contentType: query.get('type') as string }),
  };
  const given = Buffer.from(query.get('signature') ?? '');
  const right = Buffer.from(sign(grant, secret));
  if (given.length !== right.length || !timingSafeEqual(given, right)) throw objectErrors.error('object.signature_invalid');
  if (grant.expiresAtS * 1000 <= nowMs) throw objectErrors.error('object.expired');
  return grant;
}

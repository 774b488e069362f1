import { createHash } from 'node:crypto';

/** One `Digest` offer of a 401. */
export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: 'MD5' | 'MD5-sess' | 'SHA-256' | 'SHA-256-sess';
  /** Without qop the answer takes the form of RFC 2069. */
  readonly qop: 'auth' | undefined;
  readonly stale: boolean;
}

const algorithms = ['SHA-256', 'SHA-256-sess', 'MD5', 'MD5-sess'] as const;

/**
 * The strongest digest among the `WWW-Authenticate` headers, or undefined when there is none we can answer
 * (Basic is never answered: it would send the password in the clear).
 */
export function strongestChallenge(headers: readonly string[]): Challenge | undefined {
  const offers = headers.flatMap((header) => header.split(/,\s*(?=(?:Digest|Basic|Bearer|Negotiate|NTLM)\s)/i)).map(parseChallenge);
  const usable = offers.filter((offer) => offer !== undefined);
  return usable.sort((a, b) => algorithms.indexOf(a.algorithm) - algorithms.indexOf(b.algorithm))[0];
}

function parseChallenge(offer: string): Challenge | undefined {
  if (!/^\s*Digest\s/i.test(offer) || offer.length > 4096) return undefined;
  const field: Record<string, string> = {};
  for (const [, name, quoted, bare] of offer.matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)) {
    if (name) field[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '';
  }
  const algorithm = algorithms.find((name) => name.toLowerCase() === (field.algorithm ?? 'MD5').toLowerCase());
  const offered = field.qop?.split(',').map((part) => part.trim().toLowerCase());
  if (!algorithm || field.nonce === undefined || field.realm === undefined || (offered && !offered.includes('auth'))) return undefined;
  const stale = field.stale?.toLowerCase() === 'true';
  return { realm: field.realm, nonce: field.nonce, opaque: field.opaque, algorithm, qop: offered ? 'auth' : undefined, stale };
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface DigestRequest {
  readonly method: string;
  /** Path with its query, exactly as it is sent. */
  readonly uri: string;
  /** How often this nonce has been used, from 1. */
  readonly nc: number;
  readonly cnonce: string;
}

/** The `Authorization` header (RFC 7616, section 3.4; RFC 2069 where no qop is offered). */
export function digestAuthorization(
  challenge: Challenge,
  { username, password }: Credentials,
  { method, uri, nc, cnonce }: DigestRequest,
): string {
  const hash = (text: string): string =>
    createHash(challenge.algorithm.startsWith('SHA') ? 'sha256' : 'md5')
      .update(text)
      .digest('hex');
  const { realm, nonce, qop, algorithm, opaque } = challenge;
  const count = nc.toString(16).padStart(8, '0');
  const plain = hash(`${username}:${realm}:${password}`);
  const ha1 = algorithm.endsWith('-sess') ? hash(`${plain}:${nonce}:${cnonce}`) : plain;
  const ha2 = hash(`${method}:${uri}`);
  const response = hash(qop ? `${ha1}:${nonce}:${count}:${cnonce}:${qop}:${ha2}` : `${ha1}:${nonce}:${ha2}`);
  const quote = (text: string): string => `"${text.replace(/(["\\])/g, '\\$1')}"`;
  const fields = [
    `username=${quote(username)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `algorithm=${algorithm}`,
    `response="${response}"`,
  ];
  if (qop) fields.push(`qop=${qop}`, `nc=${count}`, `cnonce=${quote(cnonce)}`);
  if (opaque !== undefined) fields.push(`opaque=${quote(opaque)}`);
  return `Digest ${fields.join(', ')}`;
}

import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Faults } from './faults';
import { document } from './xml';

const REALM = 'IP Camera(C2183)';
const hash = (algorithm: string, text: string): string =>
  createHash(algorithm === 'SHA-256' ? 'sha256' : 'md5')
    .update(text)
    .digest('hex');

interface Nonce {
  readonly seen: Set<string>;
}

/** Digest login as these recorders do it, with the lock against guessing. Counts what a client did wrong. */
export class DigestGuard {
  private nonces = new Map<string, Nonce>();
  private wrong = 0;
  private lockedUntil = 0;
  wrongPasswords = 0;
  staleNonces = 0;
  triesWhileLocked = 0;

  constructor(
    private readonly user: { readonly username: string; readonly password: string },
    private readonly faults: () => Faults,
    private readonly now: () => number,
    private readonly setFaults: (part: Partial<Faults>) => void,
  ) {}

  /** True when the request is allowed; otherwise the answer has been sent. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const header = request.headers.authorization;
    const faults = this.faults();
    if (this.now() < this.lockedUntil) {
      if (header) this.triesWhileLocked++;
      return this.refuse(response, false);
    }
    if (!header) return this.refuse(response, false);
    const field = fieldsOf(header);
    if (faults.forgetNonces > 0 && field.nonce && this.nonces.delete(field.nonce)) {
      this.setFaults({ forgetNonces: faults.forgetNonces - 1 });
      return this.refuse(response, false);
    }
    const nonce = this.nonces.get(field.nonce ?? '');
    if (!this.matches(request, field)) {
      this.wrong++;
      this.wrongPasswords++;
      if (faults.lockoutAfter > 0 && this.wrong >= faults.lockoutAfter) this.lockedUntil = this.now() + faults.lockoutSeconds * 1000;
      return this.refuse(response, false);
    }
    const used = `${field.nc}:${field.cnonce}`;
    if (!nonce || nonce.seen.has(used) || (faults.nonceUses > 0 && nonce.seen.size >= faults.nonceUses)) {
      this.staleNonces++;
      this.nonces.delete(field.nonce ?? '');
      return this.refuse(response, true);
    }
    nonce.seen.add(used);
    this.wrong = 0;
    return true;
  }

  private matches(request: IncomingMessage, field: Readonly<Record<string, string>>): boolean {
    if (field.username !== this.user.username || field.uri !== request.url || field.realm !== REALM) return false;
    const algorithm = field.algorithm ?? 'MD5';
    if (!this.faults().digest.includes(algorithm as 'MD5')) return false;
    const ha1 = hash(algorithm, `${this.user.username}:${REALM}:${this.user.password}`);
    const ha2 = hash(algorithm, `${request.method}:${request.url}`);
    return field.qop === 'auth' && field.response === hash(algorithm, `${ha1}:${field.nonce}:${field.nc}:${field.cnonce}:auth:${ha2}`);
  }

  /** 401 as after a wrong password, without counting one: what a right that is missing looks like on some units. */
  refuse(response: ServerResponse, stale: boolean): false {
    const faults = this.faults();
    const nonce = randomBytes(16).toString('hex');
    if (this.nonces.size > 1000) this.nonces = new Map();
    this.nonces.set(nonce, { seen: new Set() });
    const challenges = faults.digest.map((algorithm) => {
      const named = algorithm === 'MD5' && faults.namelessMd5 ? '' : `, algorithm=${algorithm}`;
      return `Digest qop="auth", realm="${REALM}", nonce="${nonce}", stale="${stale ? 'TRUE' : 'FALSE'}"${named}`;
    });
    if (faults.offerBasic) challenges.push(`Basic realm="${REALM}"`);
    const locked = this.now() < this.lockedUntil;
    const left = faults.lockoutAfter === 0 ? 5 : Math.max(0, faults.lockoutAfter - this.wrong);
    const body = document(
      'userCheck',
      [
        ['statusValue', 401],
        ['statusString', 'Unauthorized'],
        ['isActivated', true],
        ['lockStatus', locked ? 'lock' : 'unlock'],
        ['unlockTime', locked ? Math.ceil((this.lockedUntil - this.now()) / 1000) : 0],
        ['retryLoginTime', locked ? 0 : left],
      ],
      faults,
    );
    response.writeHead(401, {
      'www-authenticate': challenges,
      'content-type': 'application/xml',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
    return false;
  }
}

function fieldsOf(header: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name, quoted, bare] of header.replace(/^Digest\s+/i, '').matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)) {
    if (name) fields[name] = quoted ?? bare ?? '';
  }
  return fields;
}

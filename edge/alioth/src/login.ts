import { randomBytes } from 'node:crypto';
import type { Clock } from '@dipper/platform';
import { type Challenge, type Credentials, digestAuthorization, strongestChallenge } from './digest';
import { fault } from './recorder.errors';
import { parseXml, textOf } from './xml';

/** After a refused password nothing is tried for this long: five wrong ones lock the operator out too. */
const REST_AFTER_REFUSAL_MS = 30 * 60_000;
const MAX_LOCK_MS = 24 * 3_600_000;

export interface Refusal {
  readonly challenges: readonly string[];
  readonly body: string;
  /** The header that was refused, if one was sent. */
  readonly sent: Sent | undefined;
}
export interface Sent {
  readonly header: string;
  readonly nonce: string;
  /** First use of a nonce that the recorder has just given out. */
  readonly fresh: boolean;
}

/**
 * The login to one recorder: one nonce used again and again with a rising count, and a guard against being locked
 * out. A stale nonce is no wrong password. Once a password is refused, nothing is sent until a rest has passed, the
 * recorder's lock has ended, or (when the recorder says the next wrong one locks) the configuration changes.
 */
export class Login {
  private challenge: Challenge | undefined;
  private uses = 0;
  private blockedUntil = 0;
  private blockedAs: 'recorder.unauthorized' | 'recorder.locked_out' = 'recorder.unauthorized';
  /** The recorder took this password at least once, so a 401 on one address is about that address. */
  proven = false;

  constructor(
    private readonly credentials: Credentials,
    private readonly clock: Clock,
  ) {}

  /** Throws instead of letting a request out that could bring a lock nearer. */
  check(): void {
    if (this.clock.now() >= this.blockedUntil) return;
    throw fault(this.blockedAs, Number.isFinite(this.blockedUntil) ? { until: this.blockedUntil } : {});
  }

  /** The header for a request, once the recorder has given a nonce. */
  sign(method: string, uri: string): Sent | undefined {
    if (!this.challenge) return undefined;
    const nc = ++this.uses;
    const header = digestAuthorization(this.challenge, this.credentials, { method, uri, nc, cnonce: randomBytes(12).toString('hex') });
    return { header, nonce: this.challenge.nonce, fresh: nc === 1 };
  }

  accepted(): void {
    this.proven = true;
  }

  /**
   * What a 401 means. `again`: nothing was tried yet, or the nonce was stale: send it once more. `doubtful`: refused with
   * an old nonce and not called stale, as after a reboot of the recorder: worth exactly one more try. `refused`: this was
   * a valid try. Throws `recorder.locked_out` when the recorder says so.
   */
  refused({ challenges, body, sent }: Refusal): 'again' | 'doubtful' | 'refused' {
    const userCheck = parseXml(body);
    if (textOf(userCheck?.node, 'lockStatus') === 'lock') {
      const seconds = Number(textOf(userCheck?.node, 'unlockTime'));
      throw this.block(
        'recorder.locked_out',
        Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, MAX_LOCK_MS) : REST_AFTER_REFUSAL_MS,
      );
    }
    const next = strongestChallenge(challenges);
    if (!next) throw fault('recorder.bad_answer', { reason: 'no digest offered' });
    // Requests in flight together are all told that the nonce is stale; the first of them has already replaced it.
    if (!sent || sent.nonce === this.challenge?.nonce || !this.challenge) {
      this.challenge = next;
      this.uses = 0;
    }
    if (!sent || next.stale) return 'again';
    return sent.fresh ? 'refused' : 'doubtful';
  }

  /** Remembers that the password is wrong; answers the error to throw. */
  wrongPassword(body: string): Error {
    const left = Number(textOf(parseXml(body)?.node, 'retryLoginTime') ?? Number.NaN);
    return this.block('recorder.unauthorized', left <= 1 ? Number.POSITIVE_INFINITY : REST_AFTER_REFUSAL_MS);
  }

  private block(code: 'recorder.unauthorized' | 'recorder.locked_out', ms: number): Error {
    this.blockedAs = code;
    this.blockedUntil = this.clock.now() + ms;
    return fault(code, Number.isFinite(ms) ? { until: this.blockedUntil } : {});
  }
}

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { identityErrors } from '@star/platform';

export const passwordLength = { atLeast: 8, atMost: 256 } as const;

/** Throws `user.password_refused`. Length only, as NIST SP 800-63B has it: rules about letters make passwords worse. */
export function checkNewPassword(password: string): void {
  const letters = [...password.normalize('NFKC')].length;
  if (letters < passwordLength.atLeast || letters > passwordLength.atMost)
    throw identityErrors.error('user.password_refused', passwordLength);
}

/** OWASP's second choice for scrypt: 32 MiB and some 80 ms on one core. Kept in every hash, so it can be raised later. */
const cost = { N: 32_768, r: 8, p: 3 };
const keyBytes = 32;

interface Parameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** Each holds one of Node's four threads: a flood of log-ins waits by itself, not in front of every file and name to be looked up. */
const atOnce = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running < atOnce) running += 1;
  else await new Promise<void>((go) => waiting.push(go));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

function derive(password: string, salt: Buffer, { N, r, p }: Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Composed and decomposed letters look the same on the keyboard, so they must hash the same.
    scrypt(password.normalize('NFKC'), salt, keyBytes, { N, r, p, maxmem: 256 * N * r }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/** `scrypt$N$r$p$salt$hash`, base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await inTurn(() => derive(password, salt, cost));
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Takes the same time whatever is wrong. With `undefined` for a user that does not exist it works as hard and answers false. */
export async function verifyPassword(password: string, stored: string | null | undefined): Promise<boolean> {
  const [scheme, N, r, p, salt, hash] = (stored ?? nobody).split('$');
  const expected = Buffer.from(hash ?? '', 'base64url');
  if (scheme !== 'scrypt' || expected.length !== keyBytes) return false;
  const key = await inTurn(() => derive(password, Buffer.from(salt ?? '', 'base64url'), { N: Number(N), r: Number(r), p: Number(p) }));
  return timingSafeEqual(key, expected) && typeof stored === 'string';
}

/** A hash nobody knows the password of, made anew by every process. */
const nobody = ['scrypt', cost.N, cost.r, cost.p, randomBytes(16).toString('base64url'), randomBytes(keyBytes).toString('base64url')].join(
  '$',
);

import { createHash, randomBytes } from 'node:crypto';
import type { SecretBox, Tx } from '@star/platform';
import { Secret, TOTP } from 'otpauth';
import { findAuthenticator, insertAuthenticator, replaceRecoveryCodes, useRecoveryCode, useStep } from './second-factor.store';
import type { UserRow } from './users.store';

const stepMs = 30_000;
const recoveryCodeCount = 10;
const recoveryCode = /^[a-z2-7]{4}(?:-?[a-z2-7]{4}){3}$/;

/** A new authenticator's secret: 160 bits in base32, as RFC 4226 recommends. */
export const newTotpSecret = (): string => new Secret({ size: 20 }).base32;

const totpOf = (secret: string) =>
  new TOTP({ issuer: 'Star', algorithm: 'SHA1', digits: 6, period: stepMs / 1000, secret: Secret.fromBase32(secret) });

/** What the QR code says. */
export function enrolmentUri(secret: string, username: string): string {
  const totp = totpOf(secret);
  totp.label = username;
  return totp.toString();
}

/** The step of 30 s (RFC 6238) whose code this is, of the present one and its neighbours; undefined for none of them. */
export function stepOf(secret: string, code: string, now: Date): number | undefined {
  const digits = code.replace(/\s/g, '');
  if (!/^\d{6}$/.test(digits)) return undefined;
  const delta = totpOf(secret).validate({ token: digits, timestamp: now.getTime(), window: 1 });
  return delta === null ? undefined : Math.floor(now.getTime() / stepMs) + delta;
}

/**
 * Enrols an authenticator that has shown a right code, and answers recovery codes, which are told only now. Undefined
 * when one was enrolled meanwhile.
 */
export async function enrol(tx: Tx, box: SecretBox, user: UserRow, secret: string, step: number): Promise<string[] | undefined> {
  if ((await insertAuthenticator(tx, user.tenant_id, user.id, box.seal(secret, user.id), step)) === 0) return undefined;
  return renewRecoveryCodes(tx, user);
}

/** Forgets the old ones. */
export async function renewRecoveryCodes(tx: Tx, user: UserRow): Promise<string[]> {
  const codes = Array.from({ length: recoveryCodeCount }, newRecoveryCode);
  await replaceRecoveryCodes(tx, user.tenant_id, user.id, codes.map(hashOf));
  return codes;
}

/** Whether it is a code of the authenticator or one of recovery; it does not work a second time. */
export async function useSecondFactor(tx: Tx, box: SecretBox, user: UserRow, code: string, now: Date): Promise<boolean> {
  const typed = code.trim().toLowerCase();
  if (recoveryCode.test(typed)) return (await useRecoveryCode(tx, user.id, hashOf(typed))) === 1;
  const authenticator = await findAuthenticator(tx, user.id);
  if (!authenticator) return false;
  const step = stepOf(box.open(authenticator.secret, user.id), typed, now);
  return step !== undefined && (await useStep(tx, user.id, step)) === 1;
}

/** 80 random bits, so a plain hash is enough to keep. */
function newRecoveryCode(): string {
  const letters = [...randomBytes(16)].map((byte) => 'abcdefghijklmnopqrstuvwxyz234567'[byte & 31]).join('');
  return (letters.match(/.{4}/g) as string[]).join('-');
}

const hashOf = (code: string) => createHash('sha256').update(code.replaceAll('-', '')).digest();
